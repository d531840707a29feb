"""Rank histogram (Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PositiveInt
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Diagram, Metric, Statistics
from weatherml.metrics.blocks import by_points
from weatherml.metrics.reduce import histogram, known, ratio

Array = npt.NDArray[Any]
SEED = 20010301


@METRICS.register("rank_histogram")
class RankHistogram(Metric):
    """Reliability index of the truth's ranks among M members: sum over M + 1 bins of |share - 1 / (M + 1)|.

    Delle Monache et al. 2006, doi:10.1029/2005JD006917; 0 is flat. Ties take a random place among the tied
    members. The diagram holds the shares and the p-value of a chi-square test of flatness. Neighbouring cells
    are not independent, so the test counts those of a sparse lattice alone; it wants five of them a bin.

    Attributes:
        stride: cells from one point of the lattice to the next.
    """

    needs_members: ClassVar[bool] = True
    by_condition: ClassVar[bool] = False
    stride: PositiveInt = 16

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Area by rank, and points of the lattice by rank."""
        ranks, bins = random_ranks(forecast, truth, mask), forecast.shape[1] + 1
        sparse = mask & lattice(truth.shape[-2], truth.shape[-1], self.stride)
        return {
            "ranks": histogram(ranks, mask, rows, bins),
            "lattice_ranks": histogram(ranks, sparse, torch.ones_like(rows), bins),
        }

    def value(self, sums: Statistics) -> Tensor:
        """The index."""
        share = shares(sums["ranks"])
        return (share - 1 / share.shape[-1]).abs().sum(-1)

    def diagram(self, sums: Statistics) -> Diagram:
        """The share of each rank, and the test's p-value."""
        ranks = torch.arange(sums["ranks"].shape[-1], dtype=torch.float64)
        p_value = flatness_p_value(sums["lattice_ranks"])
        return Diagram(dim="rank", bins=ranks, arrays={"frequency": shares(sums["ranks"]), "p_value": p_value})


def random_ranks(forecast: Fields, truth: Fields, mask: Tensor) -> Array:
    """Members below the truth, of ties a random number: (L, H, W) int16, 0 .. M.

    The numbers are a function of each lead's two fields, whatever stands beside them in a chunk.
    """
    seeds = digest(known(forecast, mask.unsqueeze(1))) + digest(known(truth, mask))
    chance = np.stack([np.random.default_rng([SEED, *seed.tobytes()]).random(truth.shape[1:]) for seed in seeds])
    return by_points(_ranks, forecast, truth, torch.from_numpy(chance), dtype=np.int16)


def _ranks(members: Array, truth: Array, chance: Array) -> Array:
    least = np.min_scalar_type(len(members))  # bytes add up ten times faster than bools, which numpy counts in int64
    below, ties = (found.view(np.uint8).sum(0, dtype=least) for found in (members < truth, members == truth))
    return np.asarray(below + np.floor(chance * (ties + 1.0)))


def digest(values: Fields) -> Array:
    """A number of each lead's bits, (L,) int64."""
    return np.asarray(values.contiguous().flatten(1).numpy().view(np.int32).sum(1, dtype=np.int64))


def lattice(height: int, width: int, stride: int) -> Tensor:
    """(H, W) bool, True at every `stride`-th cell; at one cell at least."""
    row, column = (torch.arange(size) % stride == min(size, stride) // 2 for size in (height, width))
    return row.unsqueeze(1) & column


def shares(counts: Tensor) -> Tensor:
    """Counts (..., bins) as shares of their sum; NaN where that is 0."""
    return ratio(counts, counts.sum(-1, keepdim=True))


def flatness_p_value(counts: Tensor) -> Tensor:
    """Probability of counts (L, bins) at least as uneven from a flat law: Pearson's chi-square test."""
    bins, total = counts.shape[-1], counts.sum(-1)
    expected = total / bins
    chi_square = ratio((counts - expected.unsqueeze(-1)).square().sum(-1), expected)
    half_freedom = torch.full_like(chi_square, (bins - 1) / 2)
    p_value: Tensor = torch.special.gammaincc(half_freedom, chi_square / 2)
    return p_value
