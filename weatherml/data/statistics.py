"""Statistics of the training split, as sums that merge: streamed in float64, exact whatever the order of parts."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
STATISTICS = ("mean", "std", "min", "max", "zero_share", "delta_std")


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, mean, sum of squared deviations and extremes of a set of numbers."""

    count: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")
    zeros: float = 0.0

    @classmethod
    def of(cls, values: Array, counts: Array | None = None) -> Moments:
        """The moments of the finite entries of `values`; `counts` tells how often each occurs (None: once)."""
        known = np.isfinite(values)
        if not known.all():
            values, counts = values[known], None if counts is None else counts[known]
        if values.size == 0:
            return cls()
        values = values.astype(np.float64, copy=False)
        count = float(values.size if counts is None else counts.sum())
        low, high = float(values.min()), float(values.max())
        mean = low if low == high else _total(values, counts) / count  # rounding must not make a deviation
        deviations = values - mean
        m2, zeros = _total(np.square(deviations, out=deviations), counts), _total(values == 0, counts)
        return cls(count=count, mean=mean, m2=m2, min=low, max=high, zeros=zeros)

    def __add__(self, other: Moments) -> Moments:
        """The moments of both sets together (Chan et al. 1979)."""
        count = self.count + other.count
        if count == 0:
            return self
        shift = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + shift * other.count / count,
            m2=self.m2 + other.m2 + shift**2 * self.count * other.count / count,
            min=min(self.min, other.min),
            max=max(self.max, other.max),
            zeros=self.zeros + other.zeros,
        )

    @property
    def std(self) -> float:
        """Population standard deviation; 0 for an empty set."""
        return (self.m2 / self.count) ** 0.5 if self.count else 0.0


def _total(values: Array, counts: Array | None) -> float:
    return float(values.sum() if counts is None else (values * counts).sum())


@dataclass(frozen=True, kw_only=True)
class VariableMoments:
    """Moments of a variable's transformed values and of their change from one step to the next."""

    state: Moments = Moments()
    delta: Moments = Moments()

    def __add__(self, other: VariableMoments) -> VariableMoments:
        return VariableMoments(state=self.state + other.state, delta=self.delta + other.delta)

    def row(self) -> tuple[float, ...]:
        """The numbers of `ROW`."""
        return astuple(self.state) + astuple(self.delta)

    @classmethod
    def from_row(cls, row: Array, *, changes: bool = True) -> VariableMoments:
        """The inverse of `row`; without its `changes` where they began outside of what is counted."""
        state, delta = np.split(row, 2)
        return cls(state=_moments(state), delta=_moments(delta) if changes else Moments())

    def finish(self) -> dict[str, float]:
        """The numbers of `STATISTICS`."""
        share = self.state.zeros / self.state.count if self.state.count else 0.0
        values = (self.state.mean, self.state.std, self.state.min, self.state.max, share, self.delta.std)
        return dict(zip(STATISTICS, values, strict=True))


_NAMES = [field.name for field in fields(Moments)]
ROW = tuple(f"{part}_{name}" for part in ("state", "delta") for name in _NAMES)


def _moments(numbers: Array) -> Moments:
    return Moments(**dict(zip(_NAMES, map(float, numbers), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Statistics of C channels in the order of the dataset's variables; each a (C,) float64 array.

    `mean`, `std` and the rest are of transformed values (see `Variable.transform`).
    """

    mean: Array
    std: Array
    min: Array
    max: Array
    zero_share: Array
    delta_std: Array

    @classmethod
    def of(cls, rows: Array) -> Statistics:
        """From (n, C, K) rows of `VariableMoments` at a run of times, summed in order.

        The change to the first of them began outside and is not counted.
        """
        channels = [_sum(rows[:, c]).finish() for c in range(rows.shape[1])]
        return cls(**{name: np.array([each[name] for each in channels]) for name in STATISTICS})

    def settings(self) -> dict[str, list[float]]:
        """As plain lists, for a run's files."""
        return {name: [float(value) for value in getattr(self, name)] for name in STATISTICS}

    @classmethod
    def from_settings(cls, settings: dict[str, list[float]]) -> Statistics:
        """The inverse of `settings`."""
        return cls(**{name: np.asarray(settings[name], dtype=np.float64) for name in STATISTICS})

    def select(self, channels: list[int]) -> Statistics:
        """The statistics of some channels, in their order."""
        return Statistics(**{name: getattr(self, name)[channels] for name in STATISTICS})


def _sum(rows: Array) -> VariableMoments:
    parts = (VariableMoments.from_row(row, changes=index > 0) for index, row in enumerate(rows))
    return sum(parts, VariableMoments())
