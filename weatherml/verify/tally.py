"""Statistics summed over cases by block of initial times: they merge, and blocks are what is resampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from weatherml.metrics.base import Metric, Statistics

Key: TypeAlias = tuple[str, str, str]
"""(forecast, variable, metric)"""
LOW, HIGH = 0.05, 0.95


@dataclass(frozen=True)
class CaseSums:
    """The statistics of one case: sums (L, ...) by key, and by variable whether a lead was scored, (L,)."""

    sums: dict[Key, Statistics]
    scored: dict[str, Tensor]


@dataclass
class Tally:
    """Sums over cases; two of them, over different cases, add up to that of all.

    Attributes:
        blocks: how many blocks of initial times there are.
        sums: by key, statistics (blocks, L, ...) float64.
        cases: by variable, the number of cases (blocks, L).
    """

    blocks: int
    sums: dict[Key, Statistics] = field(default_factory=dict)
    cases: dict[str, Tensor] = field(default_factory=dict)

    def add(self, block: int, case: CaseSums) -> None:
        """Count one case in its block."""
        for name, scored in case.scored.items():
            self.cases.setdefault(name, self._zeros(scored))[block] += scored
        for key, statistics in case.sums.items():
            known = self.sums.setdefault(key, {})
            for name, value in statistics.items():
                known.setdefault(name, self._zeros(value))[block] += value

    def __add__(self, other: Tally) -> Tally:
        merged = Tally(self.blocks)
        for part in (self, other):
            for block in range(self.blocks):
                merged.add(block, part.block(block))
        return merged

    def block(self, block: int) -> CaseSums:
        """The sums of one block, as if it were one case."""
        sums = {key: {name: value[block] for name, value in known.items()} for key, known in self.sums.items()}
        return CaseSums(sums, {name: count[block] for name, count in self.cases.items()})

    def _zeros(self, value: Tensor) -> Tensor:
        return torch.zeros(self.blocks, *value.shape, dtype=torch.float64)


@dataclass(frozen=True)
class Curve:
    """A score by lead time with its sampling interval; each (L,) float64, NaN where nothing stands behind it."""

    value: Tensor
    low: Tensor
    high: Tensor


def block_of(init_times: np.ndarray, hours: int) -> np.ndarray:
    """The block of each initial time, counted from 0: stretches of `hours` from the first midnight on."""
    day = init_times.min().astype("datetime64[D]").astype(init_times.dtype)
    stretch = (init_times - day) // np.timedelta64(hours, "h")
    return np.asarray(np.unique(stretch, return_inverse=True)[1])


def curve(metric: Metric, sums: Statistics, cases: Tensor, draws: Tensor) -> Curve:
    """The score of all blocks, and the 5 to 95 % interval of block-bootstrap resamples.

    Args:
        metric: the score.
        sums: statistics (blocks, L, ...).
        cases: (blocks, L); a lead with cases in fewer than two blocks has no interval.
        draws: (resamples, blocks), how often each block is drawn.
    """
    total = cases.sum(0)
    value = _where(total > 0, metric.value({name: part.sum(0) for name, part in sums.items()}))
    resampled = metric.value({name: torch.tensordot(draws, part, dims=1) for name, part in sums.items()})
    low, high = torch.nanquantile(resampled, torch.tensor([LOW, HIGH], dtype=torch.float64), dim=0)
    enough = (cases > 0).sum(0) >= 2
    return Curve(value, _where(enough, low), _where(enough, high))


def block_draws(blocks: int, resamples: int, seed: int) -> Tensor:
    """How often each block is drawn in each resample of as many blocks: (resamples, blocks) float64."""
    counts = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return torch.from_numpy(counts).double()


def _where(known: Tensor, values: Tensor) -> Tensor:
    return torch.where(known, values, torch.nan)
