"""STEPS: optical flow with stochastic perturbations (Bowler, Pierce and Seed 2006, doi:10.1256/qj.04.100)."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import numpy as np
from pydantic import Field

from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import BASELINES, Array
from weatherml.verify.baselines.decibels import Decibels, decibels
from weatherml.verify.baselines.nowcast import FEWEST, Nowcast, NowcastConfig, extrapolate, filled, hushed, motion
from weatherml.verify.files.truth import Truth

SEEDS = 1 << 32
"""numpy's legacy generators take no larger ones."""
WINDOW = "tukey"
"""The taper of pysteps' noise: rain that it hides gives no noise."""


@BASELINES.register("steps")
class StepsConfig(NowcastConfig):
    """An ensemble nowcast, drawn once a case; time and memory grow with members, leads and points.

    Attributes:
        members: drawn for each case.
        seed: of the draws; each case has its own stream, the same one whatever the other cases are.
    """

    members: Annotated[int, Field(ge=2)] = 16
    seed: int = 0

    def build(self, truth: Truth) -> Steps:
        """The ensemble of this dataset's rain.

        Raises:
            BadDataError: the dataset has none, or a grid without lengths.
            UsageError: pysteps is not installed.
        """
        return Steps(self, truth)


class Steps(Nowcast):
    """Members of pysteps' STEPS, in decibels (`Decibels`), with noise adjusted for the dry part.

    As for optical flow, the field at the initial time stays where air would come in from outside the grid.
    """

    def __init__(self, config: StepsConfig, truth: Truth) -> None:
        super().__init__(config, truth)
        self.members = config.members
        self.seed = config.seed
        self.spacing_km = _spacing_km(truth)
        self.scales = {name: _scale(truth, name) for name in self.variables}

    def draw(self, init_time: np.datetime64, steps: int, name: str) -> Array:
        """The members of one variable and case."""
        minutes = int(init_time.astype("datetime64[m]").astype(np.int64))
        return draw_members(
            self.history(init_time, name),
            self.scales[name],
            steps=steps,
            members=self.members,
            seed=(self.seed + minutes) % SEEDS,
            spacing_km=self.spacing_km,
            step_minutes=self.truth.step_seconds / 60,
        )


def draw_members(
    frames: Array, scale: Decibels, *, steps: int, members: int, seed: int, spacing_km: float, step_minutes: float
) -> Array:
    """(steps, members, H, W) float32 after (T, H, W) frames, of which the last three give the autoregression.

    Where these three give nothing to fit, all members are the extrapolation.
    """
    decibel = scale.encode(frames)
    velocity = motion(decibel)
    if not _fits(decibel[-FEWEST:], scale.threshold):
        drawn = np.repeat(extrapolate(decibel[-1], velocity, steps)[:, None], members, axis=1)
    else:
        lengths = {"kmperpixel": spacing_km, "timestep": step_minutes}
        options = {"n_ens_members": members, "precip_thr": scale.threshold, "seed": seed, **lengths}
        drawn = _drawn(decibel[-FEWEST:], velocity, steps, options)
    return scale.decode(filled(drawn, decibel[-1]))


def _drawn(decibel: Array, velocity: Array, steps: int, options: dict[str, float]) -> Array:
    """(steps, members, H, W) decibels; pysteps' standard settings but for the noise's adjustment."""
    kept: list[Array] = []
    with hushed():
        import_module("pysteps.nowcasts").get_method("steps")(
            decibel,
            velocity,
            steps,
            **options,
            noise_stddev_adj="auto",
            num_workers=1,
            callback=lambda fields: kept.append(fields.astype(np.float32)),  # pysteps would keep them in float64
            return_output=False,
        )
    return np.stack(kept)


def _fits(decibel: Array, threshold: float) -> bool:
    """Whether an autoregression can be fitted to frames: rain in each, none of one value, not all alike."""
    with hushed():
        no_rain = import_module("pysteps.utils.check_norain").check_norain
        wet = not any(no_rain(frame, threshold, 0.0, WINDOW, False) for frame in decibel)
        return wet and bool(np.nanstd(decibel, axis=(1, 2)).all() and np.nanstd(np.diff(decibel, axis=0)) > 0)


def _spacing_km(truth: Truth) -> float:
    if truth.grid.spacing_km is None:
        raise BadDataError(f"{truth.path}: steps: a grid without lengths; give y and x in m, or take optical-flow")
    return truth.grid.spacing_km


def _scale(truth: Truth, name: str) -> Decibels:
    scale = decibels(truth.variables[name])
    if scale is None:
        units = truth.variables[name].units
        raise BadDataError(f"{truth.path}: steps: {name} is in {units}, not dBZ or a rate of rain; take optical-flow")
    return scale
