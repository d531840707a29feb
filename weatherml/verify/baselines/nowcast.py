"""What nowcasts share: pysteps, kept quiet; the frames up to the initial time; motion; what moves with it."""

from __future__ import annotations

import contextlib
import io
import warnings
from abc import ABC
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from weatherml.errors import BadDataError, UsageError
from weatherml.registry import suggest
from weatherml.verify.baselines.base import Array, BaselineConfig
from weatherml.verify.baselines.decibels import decibels
from weatherml.verify.baselines.drawn import DrawnBaseline
from weatherml.verify.files.truth import Truth

LIBRARIES = ("cv2", "pysteps")
FEWEST = 3
"""Frames: STEPS fits an autoregression of the second order."""


class NowcastConfig(BaselineConfig, ABC):
    """What all nowcasts take.

    Attributes:
        variables: those to forecast; None takes reflectivity and rates of precipitation, told by their units.
        frames: of the truth, the last at the initial time, that give the motion.
    """

    variables: tuple[str, ...] | None = None
    frames: Annotated[int, Field(ge=FEWEST)] = FEWEST


class Nowcast(DrawnBaseline):
    """A forecast from the last frames of a variable alone.

    Attributes:
        frames: how many of them.
    """

    def __init__(self, config: NowcastConfig, truth: Truth) -> None:
        require_pysteps(config.kind)
        super().__init__(config.kind, truth)
        self.frames = config.frames
        self.chosen = _chosen(config, truth)

    @property
    def variables(self) -> list[str]:
        """Those that it forecasts, in the truth's order."""
        return self.chosen

    def available(self, init_times: Array) -> Array:
        """Where the truth has all frames, without a gap."""
        return np.asarray(np.all([self.truth.has(times) for times in self._times(init_times)], axis=0))

    def history(self, init_time: np.datetime64, name: str) -> Array:
        """(frames, H, W) of a variable, the last at the initial time, none later."""
        return self.truth.read(self._times(np.array([init_time]))[:, 0], [name])[name]

    def _times(self, init_times: Array) -> Array:
        """(frames, N) datetime64[s]."""
        ages = np.arange(self.frames)[::-1] * np.timedelta64(self.truth.step_seconds, "s")
        return np.asarray(init_times - ages[:, None])


def _chosen(config: NowcastConfig, truth: Truth) -> list[str]:
    """The variables of the truth to forecast.

    Raises:
        BadDataError: one that the truth lacks, or none to choose.
    """
    for name in config.variables or ():
        if name not in truth.variables:
            raise BadDataError(f"{truth.path}: {config.kind}: no variable {name}; {suggest(name, truth.variables)}")
    wanted = config.variables or [name for name, variable in truth.variables.items() if decibels(variable)]
    if not wanted:
        raise BadDataError(
            f"{truth.path}: {config.kind}: no variable in dBZ or a rate of precipitation (mm h-1, kg m-2 s-1); "
            "leave this baseline out, or set its variables"
        )
    return [name for name in truth.variables if name in wanted]


def require_pysteps(kind: str) -> None:
    """Import what the baseline `kind` needs.

    Raises:
        UsageError: it is not installed.
    """
    try:
        with hushed():
            for library in LIBRARIES:
                import_module(library)
    except ImportError as error:
        raise UsageError(
            f"baseline {kind}: needs pysteps and OpenCV ({error}); pip install 'weatherml[nowcast]'"
        ) from None


def motion(frames: Array) -> Array:
    """(2, H, W) cells a step along x and y, by dense Lucas-Kanade from (T, H, W) frames; 0 where nothing is seen."""
    with hushed():
        dense = import_module("pysteps.motion").get_method("LK")
        return np.asarray(dense(frames)) if np.isfinite(frames).any() else np.zeros((2, *frames.shape[1:]))


def extrapolate(field: Array, velocity: Array, steps: int) -> Array:
    """(steps, H, W) of a field (H, W) carried along the motion, backward semi-Lagrangian; NaN from outside."""
    if not np.isfinite(field).any():
        return np.full((steps, *field.shape), np.nan)
    with hushed():
        carry = import_module("pysteps.extrapolation").get_method("semilagrangian")
        return np.asarray(carry(field.astype(float), velocity, steps, outval=np.nan, allow_nonfinite_values=True))


def filled(values: Array, persistence: Array) -> Array:
    """`values` (..., H, W) float32 with a field (H, W) where they are unknown."""
    return np.where(np.isnan(values), persistence, values).astype(np.float32)


@contextlib.contextmanager
def hushed() -> Iterator[Any]:
    """Without what pysteps prints and warns of: stdout is data."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
