"""Optical flow: the last field, carried along the motion of the last frames."""

from __future__ import annotations

import numpy as np

from weatherml.verify.baselines.base import BASELINES, Array
from weatherml.verify.baselines.decibels import decibels
from weatherml.verify.baselines.nowcast import Nowcast, NowcastConfig, extrapolate, filled, motion
from weatherml.verify.files.truth import Truth


@BASELINES.register("optical-flow")
class OpticalFlowConfig(NowcastConfig):
    """No other parameters."""

    def build(self, truth: Truth) -> OpticalFlow:
        """The extrapolation of this dataset's rain.

        Raises:
            BadDataError: the dataset has none.
            UsageError: pysteps is not installed.
        """
        return OpticalFlow(self, truth)


class OpticalFlow(Nowcast):
    """Dense Lucas-Kanade motion and backward semi-Lagrangian extrapolation (pysteps; Germann and Zawadzki 2002).

    What would come in from outside the grid, nobody knows: there the field at the initial time stays, since
    a point that one forecast lacks is left out for all.
    """

    def draw(self, init_time: np.datetime64, steps: int, name: str) -> Array:
        """One member."""
        frames = self.history(init_time, name)
        scale = decibels(self.truth.variables[name])
        velocity = motion(frames if scale is None else scale.encode(frames))
        return filled(extrapolate(frames[-1], velocity, steps), frames[-1])[:, None]
