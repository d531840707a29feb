"""The weighted sum of other losses: near the truth, and as sharp as it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from pydantic import Field, NonNegativeFloat, field_validator
from torch import Tensor, nn

from weatherml.fields import Fields
from weatherml.losses.base import LOSSES, FieldLoss, LossConfig, LossModule, Weights, means
from weatherml.nn.recompute import Recomputing
from weatherml.registry import suggest

TERMS = {"l1": 0.4, "spectral": 0.3, "mse": 0.2, "gradient": 0.1}


class WeatherLoss(Recomputing, LossModule):
    """Sum of weight * loss over the terms.

    It goes variable by variable, so that what it holds on the way is of one variable; with any level of
    checkpointing each is computed again in the backward pass.

    Args:
        weights: of all variables.
        terms: for each variable its losses by name.
        factors: the weight of each term.
    """

    def __init__(
        self, weights: Weights, terms: Sequence[Mapping[str, FieldLoss]], factors: Mapping[str, float]
    ) -> None:
        super().__init__(weights)
        self.terms = nn.ModuleList(nn.ModuleDict(of_one) for of_one in terms)
        self.factors = dict(factors)

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the weighted sum."""
        if not self.factors:
            return torch.zeros_like(self.variable.flatten())
        variables = zip(
            self.terms, *(torch.split(fields, 1, dim=2) for fields in (prediction, target, mask)), strict=True
        )
        compute = self._sums if self.checkpointing == "none" else partial(self.recomputed, self._sums)
        return means(torch.cat([compute(*variable) for variable in variables], dim=-1))

    def _sums(self, terms: Mapping[str, FieldLoss], *fields: Tensor) -> Tensor:
        """(K, 2, 1) of one variable, see `FieldLoss.sums`."""
        found = []
        for name, factor in self.factors.items():
            totals, weights = terms[name].sums(*fields).unbind(1)
            found.append(torch.stack([factor * totals, weights], dim=1))
        return torch.cat(found)


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
        ones = zip(torch.split(weights.scale, 1), torch.split(weights.variable, 1), strict=True)
        each = [Weights(scale=scale, variable=variable, rows=weights.rows) for scale, variable in ones]
        return WeatherLoss(weights, [_terms(factors, one) for one in each], factors)


def _terms(names: Iterable[str], weights: Weights) -> dict[str, FieldLoss]:
    """The losses of these names, all of the kind that adds up variable by variable."""
    return {name: cast(FieldLoss, LOSSES[name]().build(weights)) for name in names}


def _is_term(loss: type[LossConfig]) -> bool:
    """Whether it compares one state with another."""
    return not (loss.compares_members or loss.logits)
