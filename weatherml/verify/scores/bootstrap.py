"""Sums over cases by block of initial times: blocks are what is resampled, and what intervals come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weatherml.metrics.base import Metric, Statistics

LOW, HIGH = 0.05, 0.95
BLOCK_HOURS = 24


@dataclass(frozen=True)
class Curve:
    """A score by lead time with its sampling interval; each (L,) float64, NaN where nothing stands behind it."""

    value: Tensor
    low: Tensor
    high: Tensor


def blocks_of(init_times: np.ndarray) -> dict[int, np.ndarray]:
    """The initial times of each block, counted from 0: those of one day, UTC."""
    days = init_times.astype("datetime64[D]")
    return {block: init_times[days == day] for block, day in enumerate(np.unique(days))}


def block_draws(blocks: int, resamples: int, seed: int) -> Tensor:
    """How often each block is drawn in each resample of as many blocks: (resamples, blocks) float64."""
    counts = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return torch.from_numpy(counts).double()


def samples(metric: Metric, sums: Statistics, draws: Tensor) -> Tensor:
    """The score of all blocks, and then of each resample: (1 + resamples, ..., L).

    Args:
        metric: the score.
        sums: statistics (blocks, ..., L) or (blocks, ..., L, bins).
        draws: (resamples, blocks), how often each block is drawn.
    """
    weights = torch.cat([torch.ones_like(draws[:1]), draws])
    return metric.value({name: torch.tensordot(weights, part, dims=1) for name, part in sums.items()})


def curve(sampled: Tensor, cases: Tensor) -> Curve:
    """The score of all blocks, and the 5 to 95 % interval of block-bootstrap resamples.

    Args:
        sampled: (1 + resamples, ..., L), from `samples`.
        cases: (blocks, ..., L); a lead with cases in fewer than two blocks has no interval.
    """
    value = known_where(cases.sum(0) > 0, sampled[0])
    low, high = quantiles(sampled[1:], LOW, HIGH)
    enough = in_blocks(cases, 2)
    return Curve(value, known_where(enough, low), known_where(enough, high))


def quantiles(sampled: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Two quantiles over the resamples (resamples, ...), of those that have a score."""
    both = torch.tensor([low, high], dtype=sampled.dtype)
    return tuple(torch.nanquantile(sampled, both, dim=0))


def in_blocks(cases: Tensor, least: int) -> Tensor:
    """Whether so many blocks at least have cases: (blocks, ..., L) to (..., L) bool."""
    return (cases > 0).sum(0) >= least


def known_where(known: Tensor, values: Tensor) -> Tensor:
    """`values`, and NaN where not `known`."""
    return torch.where(known, values, torch.nan)
