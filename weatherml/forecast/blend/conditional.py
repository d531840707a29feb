"""Not all runs everywhere: a tie-breaker where the others disagree, or the surest run of each value."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from weatherml.errors import ConfigError
from weatherml.forecast.blend.cases import Cases, error
from weatherml.forecast.blend.combiners import COMBINERS, Combiner
from weatherml.forecast.blend.rules import Confidence, Rule, TieBreaker


@COMBINERS.register("conditional")
class Conditional(Combiner):
    """A run that breaks ties between the others, or for each value the run that is surest.

    Attributes:
        rule: `tie-breaker`, or `confidence`, which is for probabilities alone.
        quantile: of the leading runs' differences in validation, beyond which fields disagree; probabilities
            disagree on the two sides of 0.5.
    """

    rule: Literal["tie-breaker", "confidence"] = "tie-breaker"
    quantile: float = Field(0.75, ge=0, le=1)

    def check(self, *, binary: bool) -> None:
        """Refuse confidence of fields."""
        if self.rule == "confidence" and not binary:
            raise ConfigError("combine.rule: confidence is of probabilities, these are fields; take tie-breaker")

    def fit(self, cases: Cases) -> Rule:
        """Ranks and threshold from the cases; confidence needs neither."""
        return Confidence() if self.rule == "confidence" else self._tie_breaker(cases)

    def _tie_breaker(self, cases: Cases) -> TieBreaker:
        order = np.argsort(error(cases), kind="stable")
        ranks = tuple(order.tolist())
        if cases.binary:
            return TieBreaker(order=ranks)
        leading = cases.predictions[order[: max(2, len(order) - 1)]]
        return TieBreaker(order=ranks, threshold=float(np.quantile(np.ptp(leading, axis=0), self.quantile)))
