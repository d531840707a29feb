"""Fitted rules: from what K runs predict to one prediction. Plain numbers, so that they are written as settings.

Missing is what any run leaves missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator
from scipy.special import expit, logit

from weatherml.config import Config
from weatherml.registry import Registry

Array = npt.NDArray[Any]
RULES: Registry[Rule] = Registry("rules")
SURE = 1e-6
"""The nearest to 0 or 1 that a probability comes before its logit is taken."""


class Rule(Config, ABC):
    """What was fitted."""

    @abstractmethod
    def __call__(self, predictions: Array) -> Array:
        """(K, ...) to (...)."""


@RULES.register("linear")
class Linear(Rule):
    """A weighted sum, of the predictions or of their logits.

    Attributes:
        weights: (K,).
        intercept: added.
        link: `logit` where sum and intercept are of log odds.
    """

    weights: tuple[float, ...]
    intercept: float = 0.0
    link: Literal["identity", "logit"] = "identity"

    def __call__(self, predictions: Array) -> Array:
        """(K, ...) to (...)."""
        if self.link == "identity":
            return self._sum(predictions)
        return np.asarray(expit(self._sum(log_odds(predictions))))

    def _sum(self, terms: Array) -> Array:
        return np.asarray(np.tensordot(np.asarray(self.weights), terms, axes=1) + self.intercept)


@RULES.register("isotonic")
class Isotonic(Rule):
    """A step-wise rising function of one run's probability, linear between its knots.

    Attributes:
        x: knots, increasing.
        y: the calibrated probability at each.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, predictions: Array) -> Array:
        """(1, ...) to (...)."""
        return np.asarray(np.interp(predictions[0], self.x, self.y))


@RULES.register("tie-breaker")
class TieBreaker(Rule):
    """The best runs decide together, and the last one is asked only where they disagree: then the median of all.

    Of three classifiers that is the majority. Of two runs the better one decides, and their mean where they disagree.

    Attributes:
        order: the runs, the best first.
        threshold: fields disagree where they differ by more; None is for probabilities, which disagree across 0.5.
    """

    order: tuple[int, ...]
    threshold: float | None = None

    @model_validator(mode="after")
    def _ranks(self) -> TieBreaker:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"order: {list(self.order)} does not rank the runs 0 to {len(self.order) - 1} once each")
        return self

    def __call__(self, predictions: Array) -> Array:
        """(K, ...) to (...)."""
        ranked = predictions[list(self.order)]
        agreed = ranked[: max(1, len(ranked) - 1)].mean(axis=0)
        found = np.where(self.disagree(ranked), np.median(ranked, axis=0), agreed)
        return np.where(np.isfinite(predictions).all(axis=0), found, np.nan)

    def disagree(self, ranked: Array) -> Array:
        """(...) bool: where the leading runs of (K, ...) predictions, the best first, disagree."""
        leading = ranked[: max(2, len(ranked) - 1)]
        if self.threshold is None:
            return np.asarray((leading > 0.5).any(axis=0) & (leading <= 0.5).any(axis=0))
        return np.asarray(leading.max(axis=0) - leading.min(axis=0) > self.threshold)


@RULES.register("confidence")
class Confidence(Rule):
    """Each value from the run that is surest of it: whose probability is farthest from 0.5."""

    def __call__(self, predictions: Array) -> Array:
        """(K, ...) to (...)."""
        surest = np.abs(predictions - 0.5).argmax(axis=0)  # argmax finds NaN before all others
        return np.asarray(np.take_along_axis(predictions, surest[None], axis=0)[0])


def log_odds(p: Array) -> Array:
    """The logit of probabilities, finite."""
    return np.asarray(logit(np.clip(p, SURE, 1 - SURE)))
