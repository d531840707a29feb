"""All runs alike: the linear opinion pool."""

from __future__ import annotations

from typing import ClassVar

from weatherml.forecast.blend.cases import Cases
from weatherml.forecast.blend.combiners import COMBINERS, Combiner
from weatherml.forecast.blend.rules import Linear


@COMBINERS.register("pool")
class Pool(Combiner):
    """The mean of the runs' fields or probabilities; of forecasts, their members side by side."""

    fitted: ClassVar[bool] = False

    def fit(self, cases: Cases) -> Linear:
        """Equal weights; the cases only tell how many."""
        return equal_weights(len(cases.predictions))


def equal_weights(runs: int) -> Linear:
    """The mean of K runs."""
    return Linear(weights=(1 / runs,) * runs)
