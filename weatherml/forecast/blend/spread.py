"""What the members of several runs spread, and what multiplies it so that it is as large as the error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.forecast.blend.cases import Cases

Array = npt.NDArray[Any]


def within(members: Sequence[Array]) -> Array:
    """(l, ...) squared deviations of all (l, M, ...) members from their own run's mean, summed."""
    return np.asarray(sum(((each - each.mean(1, keepdims=True)) ** 2).sum(1) for each in members))


def pooled_variance(squares: Array, means: Array, sizes: Sequence[int]) -> Array:
    """(n,) variance (ddof 1) of all members side by side, from (n,) `within` and (K, n) the runs' means."""
    share = np.array(sizes)[:, None]
    centre = (share * means).sum(0) / share.sum()
    return np.asarray((squares + (share * (means - centre) ** 2).sum(0)) / (share.sum() - 1))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of the cases of one variable and lead.

    Attributes:
        variance: (n,) of the members, times (M + 1) / M (Fortin et al. 2014).
        squared_error: (n,) of the ensemble mean, by fits that did not see the case.
        weights: (n,).
        blocks: (n,).
    """

    variance: Array
    squared_error: Array
    weights: Array
    blocks: Array

    @classmethod
    def of(cls, cases: Cases, centre: Array, variance: Array, members: int) -> Spread:
        """Of (n,) ensemble means and variances."""
        return cls(
            variance=variance * (members + 1) / members,
            squared_error=(centre - cases.truth) ** 2,
            weights=cases.weights,
            blocks=cases.blocks,
        )

    def factor(self, chosen: Array | slice = slice(None)) -> float:
        """What multiplies the members' deviations so that spread is error in some cases; 1 where either is 0."""
        variance, error = ((values[chosen] @ self.weights[chosen]) for values in (self.variance, self.squared_error))
        return float(np.sqrt(error / variance)) if variance > 0 and error > 0 else 1.0

    def ratio(self) -> float:
        """The spread-skill ratio as it is."""
        return 1 / self.factor()

    def calibrated_ratio(self) -> float:
        """The spread-skill ratio when each block of time has the factor of the others."""
        variance = self.variance.copy()
        for block in np.unique(self.blocks):
            held = self.blocks == block
            variance[held] *= self.factor(~held) ** 2
        return float(np.sqrt(variance @ self.weights / (self.squared_error @ self.weights)))
