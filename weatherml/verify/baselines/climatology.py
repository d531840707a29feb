"""Hourly climatology: the training split's mean at the same time of day."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import BASELINES, Array, Baseline, BaselineConfig
from weatherml.verify.truth import Truth

BATCH = 32  # fields in memory at once
DAY = 86_400


@BASELINES.register("climatology")
class ClimatologyConfig(BaselineConfig):
    """No parameters."""

    def build(self, truth: Truth) -> Climatology:
        """The climatology of this dataset's training split.

        Raises:
            BadDataError: the training split lacks some times of day.
        """
        return Climatology(self.kind, truth)


class Climatology(Baseline):
    """The mean at the valid time's second of the day: an hour of hourly data, finer where those are finer."""

    def __init__(self, name: str, truth: Truth) -> None:
        super().__init__(name, truth)
        self.times = truth.training_times()
        hours = np.setdiff1d(second_of_day(truth.times), second_of_day(self.times))
        if len(hours):
            raise BadDataError(
                f"{truth.path}: climatology: the training split lacks {len(hours)} of the times of day, the first at "
                f"{hours[0] / 3600:g} h UTC; take another baseline"
            )
        self.mean = lru_cache(maxsize=None)(self._mean)

    def available(self, init_times: Array) -> Array:
        """At any time."""
        return np.ones(len(init_times), dtype=bool)

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """The mean fields at the valid times."""
        seconds = second_of_day(init_time + lead_times)
        return np.stack([self.mean(name, int(second)) for second in seconds])[:, None]

    def _mean(self, name: str, second: int) -> Array:
        times = self.times[second_of_day(self.times) == second]
        total = np.zeros(self.truth.grid.shape)
        count = np.zeros(self.truth.grid.shape)
        for start in range(0, len(times), BATCH):
            fields = self.truth.read(times[start : start + BATCH], [name])[name]
            known = np.isfinite(fields)
            total += np.where(known, fields, 0).sum(0, dtype=np.float64)
            count += known.sum(0)
        # NaN and no warning where the training split knows nothing
        mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        return mean.astype(np.float32)


def second_of_day(times: Array) -> Array:
    """Seconds since midnight UTC of datetime64[s]; 0 for data of a day or longer steps."""
    return times.astype("datetime64[s]").astype(np.int64) % DAY
