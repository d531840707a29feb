"""Climatological ensemble: training states at the same time of day as members."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from weatherml.data.windows import evenly
from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import BASELINES, Array, Baseline, BaselineConfig
from weatherml.verify.baselines.climatology import second_of_day, training_days
from weatherml.verify.files.truth import Truth

KEPT_BYTES = 1 << 28  # of fields kept in memory: all times of day of small grids, a few of large ones


@BASELINES.register("climatological-ensemble")
class ClimatologicalEnsembleConfig(BaselineConfig):
    """What an ensemble scores that knows the time of day and nothing else.

    Attributes:
        members: the most to take; fewer where the training split has fewer days.
    """

    members: Annotated[int, Field(ge=2)] = 20

    def build(self, truth: Truth) -> ClimatologicalEnsemble:
        """The members of this dataset's training split.

        Raises:
            BadDataError: the training split lacks some times of day, or has one of them only once.
        """
        return ClimatologicalEnsemble(self.kind, truth, self.members)


class ClimatologicalEnsemble(Baseline):
    """States of the training split at the valid time's second of the day, spread evenly over its days.

    Every case has the same members, none from its own future: a case may not start before the last of them.
    """

    def __init__(self, name: str, truth: Truth, members: int) -> None:
        super().__init__(name, truth)
        times = training_days(truth, name)
        seconds, days = np.unique(second_of_day(times), return_counts=True)
        self.members = min(members, int(days.min()))
        if self.members < 2:
            raise BadDataError(
                f"{truth.path}: {name}: the training split has some times of day only once; take another baseline"
            )
        self.times = {s: evenly(times[second_of_day(times) == s], self.members) for s in seconds.tolist()}
        self.fields = lru_cache(maxsize=max(1, KEPT_BYTES // (4 * self.members * int(np.prod(truth.grid.shape)))))(
            self._fields
        )

    def available(self, init_times: Array) -> Array:
        """From the last member's time on."""
        return np.asarray(init_times >= max(times[-1] for times in self.times.values()))

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """The members at the valid times."""
        return np.stack([self.fields(name, second) for second in second_of_day(init_time + lead_times).tolist()])

    def _fields(self, name: str, second: int) -> Array:
        return self.truth.read(self.times[second], [name])[name]
