"""The weighted sum of other losses: near the truth, and as sharp as it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, NonNegativeFloat, field_validator
from torch import Tensor, nn

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, LossConfig, LossModule, Weights
from weatherml.registry import suggest

TERMS = {"l1": 0.4, "spectral": 0.3, "mse": 0.2, "gradient": 0.1}


class WeatherLoss(LossModule):
    """Sum of weight * loss over the terms."""

    def __init__(self, weights: Weights, terms: Mapping[str, LossModule], factors: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.terms = nn.ModuleDict(terms)
        self.factors = dict(factors)

    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The weighted sum."""
        total = self.scale.new_zeros(())
        for name, term in self.terms.items():
            total = total + self.factors[name] * term(prediction, target, mask)
        return total


@LOSSES.register("weather")
class Weather(LossConfig):
    """A sum of the family's other losses.

    Attributes:
        weights: the weight of each term; one that is not named keeps its default, and 0 leaves a term out.
    """

    weights: dict[str, NonNegativeFloat] = Field(default_factory=dict)

    @field_validator("weights", mode="before")
    @classmethod
    def _complete(cls, weights: Any) -> Any:
        return {**TERMS, **weights} if isinstance(weights, Mapping) else weights

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: dict[str, float]) -> dict[str, float]:
        known = [name for name in LOSSES if name != cls.kind and _is_term(LOSSES[name])]
        for name in weights:
            if name not in known:
                raise ValueError(f"no term {name!r}; {suggest(name, known)}")
        return weights

    def build(self, weights: Weights) -> LossModule:
        """The sum of the terms with these weights."""
        factors = {name: factor for name, factor in self.weights.items() if factor > 0}
        return WeatherLoss(weights, {name: LOSSES[name]().build(weights) for name in factors}, factors)


def _is_term(loss: type[LossConfig]) -> bool:
    """Whether it compares one state with another."""
    return not (loss.compares_members or loss.logits)
