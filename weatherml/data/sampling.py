"""Which cases a pass over the training part takes: each once, or stormy ones oftener, with weights that undo it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from weatherml.config import Config
from weatherml.data.store import Dataset
from weatherml.errors import ConfigError

Array = npt.NDArray[Any]


class Storms(Config):
    """Cases are drawn the oftener, the larger the area over which their target hours reach a threshold.

    Attributes:
        variable: one of the run's.
        threshold: one of the variable's own, in its units.
        share: of the draws that follow the activity; the rest take all cases alike, so that no weight exceeds
            1 / (1 - share).
    """

    variable: str = "refc"
    threshold: float = 30.0
    share: float = Field(0.5, gt=0, lt=1)


def case_probabilities(storms: Storms, dataset: Dataset, initial: Array, lead: int) -> Array:
    """(N,) p_i = (1 - share) / N + share * a_i / sum(a), a_i the mean activity of the case's target hours.

    Raises:
        ConfigError: no case has any.
        BadDataError: the dataset keeps no activity of this variable and threshold.
    """
    activity = np.nan_to_num(dataset.summary.activity(storms.variable, storms.threshold).astype(np.float64))
    of_case = activity[initial[:, None] + np.arange(1, lead + 1)].mean(axis=1)
    if of_case.sum() == 0:
        raise ConfigError(
            f"data.storms: {storms.variable} reaches {storms.threshold:g} in none of {len(initial)} training cases; "
            "choose a lower threshold, or leave storms out"
        )
    return np.asarray((1 - storms.share) / len(initial) + storms.share * of_case / of_case.sum())


def importance(probabilities: Array, cases: Array) -> Array:
    """1 / (N p_i) of some cases: with it any mean over draws has the expectation of the mean over all cases."""
    return np.asarray(1 / (len(probabilities) * probabilities[cases]))


def a_pass(cases: int, probabilities: Array | None, rng: np.random.Generator) -> Array:
    """As many cases as there are, shuffled: each once; with probabilities, case i N p_i times on average.

    These are drawn systematically: the number of times is N p_i rounded down or up.
    """
    if probabilities is None:
        return rng.permutation(cases)
    return rng.permutation(systematic(probabilities, rng.random()))


def systematic(probabilities: Array, start: float) -> Array:
    """N draws at even steps through the cumulated probabilities, the first at `start` in [0, 1) of a step."""
    N = len(probabilities)
    drawn = np.searchsorted(np.cumsum(probabilities), (np.arange(N) + start) / N, side="right")
    return np.minimum(drawn, N - 1)  # rounding may leave the sum below 1
