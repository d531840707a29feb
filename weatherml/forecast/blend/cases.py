"""What the runs said of values whose truth is known, and fits that never judge themselves by what they saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
MOST = 1 << 16
"""Values that a fit sees, drawn from all: neighbours in space repeat each other."""
FEWEST_BLOCKS = 3
"""A fit within a fit leaves one out twice, and one is left."""
Map = Callable[[Array], Array]
"""From (K, n) of K runs to (..., n)."""


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Predictions of n known values by K runs.

    Attributes:
        predictions: (K, n) float64; probabilities where `binary`.
        truth: (n,) float64; 0 or 1 where `binary`.
        weights: (n,), the area of each.
        blocks: (n,), the block of time that each lies in.
        binary: the values are classes.
    """

    predictions: Array
    truth: Array
    weights: Array
    blocks: Array
    binary: bool

    def select(self, chosen: Array) -> Cases:
        """Some of the values, by index or mask."""
        return replace(
            self,
            predictions=self.predictions[:, chosen],
            truth=self.truth[chosen],
            weights=self.weights[chosen],
            blocks=self.blocks[chosen],
        )

    def predicted(self, predictions: Array) -> Cases:
        """The same values with other (K, n) predictions."""
        return replace(self, predictions=predictions)

    def run(self, k: int) -> Cases:
        """What run k said alone."""
        return self.predicted(self.predictions[k : k + 1])


def known_cases(predictions: Array, truth: Array, weights: Array, blocks: Array, *, binary: bool) -> Cases:
    """At most `MOST` of the values that all runs predict and whose truth is known, always the same ones.

    Args:
        predictions: (K, ...).
        truth: (...).
        weights: broadcasts to (...).
        blocks: broadcasts to (...); negative where the value may not be used.
        binary: the values are classes.
    """
    blocks = np.broadcast_to(blocks, truth.shape)
    known = np.flatnonzero(np.isfinite(predictions).all(0) & np.isfinite(truth) & (blocks >= 0))
    if len(known) > MOST:
        known = np.sort(np.random.default_rng(0).choice(known, MOST, replace=False))
    return Cases(
        predictions=predictions.reshape(len(predictions), -1)[:, known].astype(np.float64),
        truth=truth.reshape(-1)[known].astype(np.float64),
        weights=np.broadcast_to(weights, truth.shape).reshape(-1)[known].astype(np.float64),
        blocks=blocks.reshape(-1)[known],
        binary=binary,
    )


def time_blocks(times: Array, count: int) -> Array:
    """The number of each time's block, as `times`: at most `count` spans that follow one another, equally many times.

    Times that are NaT are in no block, -1.
    """
    there = ~np.isnat(times)
    distinct, place = np.unique(times[there], return_inverse=True)
    blocks = np.full(times.shape, -1)
    blocks[there] = place * min(count, len(distinct)) // max(1, len(distinct))
    return blocks


def require_blocks(cases: Cases, where: str) -> None:
    """Refuse values that no honest fit can be made on.

    Raises:
        BadDataError: none, too few times, or a class in too few blocks.
    """
    if len(cases.truth) == 0:
        raise BadDataError(f"{where}: no validation sample to fit a blend on; prepare one, or take --combine pool")
    classes = {"negatives": cases.truth < 0.5, "positives": cases.truth > 0.5} if cases.binary else {}
    for what, chosen in ({"values": np.ones(len(cases.truth), bool)} | classes).items():
        found = len(np.unique(cases.blocks[chosen]))
        if found < FEWEST_BLOCKS:
            raise BadDataError(
                f"{where}: {what} in {found} block(s) of time of the validation part, a fit needs {FEWEST_BLOCKS}; "
                "prepare a longer one, or take --combine pool --set calibration=none"
            )


def cross_fitted(cases: Cases, fit: Callable[[Cases], Map]) -> Array:
    """(..., n) each value as predicted by what was fitted on all other blocks of time."""
    blocks = np.unique(cases.blocks)
    held = [cases.blocks == block for block in blocks]
    parts = [fit(cases.select(~one))(cases.predictions[:, one]) for one in held]
    predicted = np.empty((*parts[0].shape[:-1], len(cases.truth)))
    for one, part in zip(held, parts, strict=True):
        predicted[..., one] = part
    return predicted


def error(cases: Cases) -> Array:
    """(K,) of each run: the mean squared error of fields, the logarithmic loss of probabilities."""
    if not cases.binary:
        return np.asarray(np.average((cases.predictions - cases.truth) ** 2, axis=1, weights=cases.weights))
    return np.asarray(-np.average(np.log(likelihood(cases)), axis=1, weights=cases.weights))


def likelihood(cases: Cases) -> Array:
    """(K, n) the probability that each run gave to what came true, never 0."""
    p = np.where(cases.truth > 0.5, cases.predictions, 1 - cases.predictions)
    return np.clip(p, 1e-6, 1)
