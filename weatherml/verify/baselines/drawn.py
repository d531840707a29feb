"""Forecasts in whole steps of the truth, drawn once a case: few leads are read at a time."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache

import numpy as np

from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import Array, Baseline
from weatherml.verify.files.truth import Truth


class DrawnBaseline(Baseline):
    """A forecast whose steps come one after the other, so that a case is drawn as far as any lead reaches.

    Attributes:
        steps: the most that was asked for so far.
    """

    def __init__(self, name: str, truth: Truth) -> None:
        super().__init__(name, truth)
        self.steps = 0
        self.drawn = lru_cache(maxsize=1)(self.draw)

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """The steps at the leads.

        Raises:
            BadDataError: leads that are no multiples of the truth's step.
        """
        steps = (lead_times / np.timedelta64(self.truth.step_seconds, "s")).astype(float)
        if np.any(steps % 1) or np.any(steps < 1):
            raise BadDataError(
                f"lead_time: not in steps of the truth's {self.truth.step_seconds} s; "
                f"leave out the baseline {self.name}"
            )
        self.steps = max(self.steps, int(steps.max()))
        return np.asarray(self.drawn(init_time, self.steps, name)[steps.astype(int) - 1])

    @abstractmethod
    def draw(self, init_time: np.datetime64, steps: int, name: str) -> Array:
        """(steps, M, H, W) float32 of one variable; the first steps are the same however many there are."""
