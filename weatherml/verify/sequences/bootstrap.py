"""Sampling intervals of what depends in time and between series: both are resampled, in whole blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.tasks import Task
from weatherml.verify.scores.bootstrap import HIGH, LOW, block_draws

Array = npt.NDArray[Any]
Measures = dict[str, Array]
"""By metric, (R,) values, one for each row of weights."""
BLOCK_DAYS: dict[Task, int] = {"emulate": 5 * 365, "classify": 30, "segment": 30}
"""Months of a climate depend on each other over years, floods and clearings over weeks."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its 5 to 95 % interval; NaN where nothing stands behind it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Samples by stretch of time and series: what is summed once and weighed anew by each resample.

    Attributes:
        of: (n,) the cell of each sample, counted from 0.
        stretch: (cells,) its stretch of time, counted from 0.
        series: (cells,) its series, counted from 0.
    """

    of: Array
    stretch: Array
    series: Array

    def __len__(self) -> int:
        return len(self.stretch)

    def draws(self, resamples: int, seed: int) -> Array:
        """(R, cells) how often each is drawn: stretches and series each with replacement (Owen 2007, section 3).

        Their product is what keeps the interval honest where a storm meets many places at once, and where a
        place is hard at all times.
        """
        stretches, series = (
            block_draws(int(each.max()) + 1, resamples, seed + number).numpy()
            for number, each in enumerate((self.stretch, self.series))
        )
        return np.asarray(stretches[:, self.stretch] * series[:, self.series])


def cells_of(times: Array, series: Array, days: int) -> Cells:
    """The cells of samples with these (n,) times and series."""
    stretch = (times - times.min()) // np.timedelta64(days, "D")
    pairs, of = np.unique(np.stack([stretch.astype(np.int64), series]), axis=1, return_inverse=True)
    stretch, numbers = (np.unique(each, return_inverse=True)[1] for each in pairs)
    return Cells(of=of.ravel(), stretch=stretch, series=numbers)


def scored(measure: Callable[[Array], Measures], cells: Cells, *, resamples: int, seed: int) -> dict[str, Score]:
    """Scores of all cells, with intervals where there are two cells or more.

    Args:
        measure: from weights (R, cells) to each metric's (R,) values.
        cells: of the samples.
        resamples: R.
        seed: of the draws.
    """
    value = {name: float(found[0]) for name, found in measure(np.ones((1, len(cells)))).items()}
    if len(cells) < 2:
        return {name: Score(value=each, low=np.nan, high=np.nan) for name, each in value.items()}
    resampled = measure(cells.draws(resamples, seed))
    return {name: _score(value[name], found) for name, found in resampled.items()}


def _score(value: float, resampled: Array) -> Score:
    known = resampled[np.isfinite(resampled)]
    low, high = np.quantile(known, (LOW, HIGH)) if len(known) else (np.nan, np.nan)
    return Score(value=value, low=float(low), high=float(high))
