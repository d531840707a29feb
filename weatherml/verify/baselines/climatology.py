"""Hourly climatology: the training split's mean at the same time of day."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weatherml.errors import BadDataError
from weatherml.verify.baselines.base import BASELINES, Array, Baseline, BaselineConfig
from weatherml.verify.files.truth import Truth

BATCH = 24  # fields in memory at once: a shard of hourly data
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
        self.times = training_days(truth, name)
        self.means = lru_cache(maxsize=None)(self._means)

    def available(self, init_times: Array) -> Array:
        """At any time."""
        return np.ones(len(init_times), dtype=bool)

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """The mean fields at the valid times."""
        means = self.means(name)
        return np.stack([means[second] for second in second_of_day(init_time + lead_times).tolist()])[:, None]

    def _means(self, name: str) -> dict[int, Array]:
        """The mean field at each second of the day, from one pass over the training split."""
        sums: dict[int, RunningMean] = {}
        for start in range(0, len(self.times), BATCH):
            times = self.times[start : start + BATCH]
            for second, field in zip(second_of_day(times).tolist(), self.truth.read(times, [name])[name], strict=True):
                sums.setdefault(second, RunningMean(field.shape)).add(field)
        return {second: total.mean() for second, total in sums.items()}


class RunningMean:
    """The mean of fields (H, W) over the known points, in float64."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total, self.count = np.zeros(shape), np.zeros(shape, np.int32)

    def add(self, field: Array) -> None:
        """Count one field."""
        known = np.isfinite(field)
        self.total += np.where(known, field, 0)
        self.count += known

    def mean(self) -> Array:
        """float32; NaN, and no warning, where nothing was known."""
        unknown = np.full_like(self.total, np.nan)
        return np.divide(self.total, self.count, out=unknown, where=self.count > 0).astype(np.float32)


def training_days(truth: Truth, baseline: str) -> Array:
    """The times of the training split, which have every time of day of the dataset.

    Raises:
        BadDataError: they do not.
    """
    times = truth.training_times()
    hours = np.setdiff1d(second_of_day(truth.times), second_of_day(times))
    if len(hours):
        raise BadDataError(
            f"{truth.path}: {baseline}: the training split lacks {len(hours)} of the times of day, the first at "
            f"{hours[0] / 3600:g} h UTC; take another baseline"
        )
    return times


def second_of_day(times: Array) -> Array:
    """Seconds since midnight UTC of datetime64[s]; 0 for data of a day or longer steps."""
    return times.astype("datetime64[s]").astype(np.int64) % DAY
