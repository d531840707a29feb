"""What is made of an ensemble's members: mean, spread, probabilities, probability-matched mean.

Members are (L, M, H, W) physical, products (L, H, W); a product is missing where a member is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.events import Side, event_name, event_share
from weatherml.metrics.neighbourhood import fractions, known_fractions, scale_name
from weatherml.metrics.once import once
from weatherml.metrics.reduce import ensemble_mean, ensemble_variance
from weatherml.variables import Variable

NEIGHBOURHOOD_KM = 40.0
NEIGHBOURHOOD_CELLS = 13
"""A neighbourhood's width where the grid does not know its spacing: 40 km at 3 km."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """One field made of a variable's members.

    Attributes:
        suffix: follows the variable's name.
        long_name: in words.
        units: CF.
        cell_methods: CF, how the members are gone through; empty where CF has no word for it.
        compute: from members to product.
    """

    suffix: str
    long_name: str
    units: str
    cell_methods: str = ""
    compute: Callable[[Fields], Fields]


def mean(members: Fields) -> Fields:
    """The ensemble mean, float32."""
    return ensemble_mean(members).float()


def spread(members: Fields) -> Fields:
    """The members' standard deviation, ddof 1."""
    return ensemble_variance(members).sqrt().float()


def probability(members: Fields, *, threshold: float, side: Side) -> Fields:
    """Share of members with the event."""
    mask = complete(members)
    return torch.where(mask, event_share(members, mask, threshold, side), torch.nan)


def neighbourhood_probability(members: Fields, *, threshold: float, side: Side, width: int) -> Fields:
    """Share of members and cells of the square neighbourhood with the event (Schwartz and Sobash 2017, NEP).

    Only cells of the grid count (doi:10.1175/MWR-D-16-0400.1).
    """
    mask = complete(members)
    share = fractions(members, mask, threshold, side, width) / known_fractions(mask, width)
    return torch.where(mask, share, torch.nan).float()


def probability_matched_mean(members: Fields) -> Fields:
    """The ensemble mean's pattern with the members' amplitudes (Ebert 2001).

    The values of all members, sorted downwards, every M-th kept, take the places of the mean's values of the
    same rank (doi:10.1175/1520-0493(2001)129<2461:AOAPMT>2.0.CO;2).
    """
    M = members.shape[1]
    amplitudes = members.flatten(1).sort(dim=1, descending=True).values[:, ::M]
    average = ensemble_mean(members).flatten(1)
    ranks = average.argsort(dim=1, descending=True, stable=True)  # equal means take their places in the grid's order
    matched = torch.empty_like(amplitudes).scatter_(1, ranks, amplitudes)
    return torch.where(complete(members), matched.view(members.shape[0], *members.shape[2:]), torch.nan)


@once
def complete(members: Fields) -> Tensor:
    """(L, H, W) bool, where every member is known."""
    return members.isfinite().all(1)


def neighbourhood_width(spacing_km: float | None) -> int:
    """The odd number of cells nearest `NEIGHBOURHOOD_KM`, 3 at least."""
    if spacing_km is None:
        return NEIGHBOURHOOD_CELLS
    return max(3, 2 * round((NEIGHBOURHOOD_KM / spacing_km - 1) / 2) + 1)


Maker = Callable[[Variable, float | None], list[Product]]
"""The products of a variable on a grid of some spacing in km, None where it is unknown."""


def _of_fields(suffix: str, words: str, compute: Callable[[Fields], Fields], cell_methods: str = "") -> Maker:
    def products(variable: Variable, spacing_km: float | None) -> list[Product]:  # noqa: ARG001 - the form of a maker
        return [
            Product(
                suffix=suffix,
                long_name=f"{words} of {variable.long_name or variable.name}",
                units=variable.units,
                cell_methods=cell_methods,
                compute=compute,
            )
        ]

    return products


def _probabilities(variable: Variable, spacing_km: float | None) -> list[Product]:  # noqa: ARG001 - the form of a maker
    return [
        Product(
            suffix=f"probability_{event_name(threshold, variable.units, variable.event)}",
            long_name=f"probability of {_event(variable, threshold)}",
            units="1",
            compute=partial(probability, threshold=threshold, side=variable.event),
        )
        for threshold in variable.thresholds
    ]


def _neighbourhood_probabilities(variable: Variable, spacing_km: float | None) -> list[Product]:
    width = neighbourhood_width(spacing_km)
    return [
        Product(
            suffix=f"neighbourhood_probability_{event_name(threshold, variable.units, variable.event)}",
            long_name=f"probability of {_event(variable, threshold)} in a square of {scale_name(width, spacing_km)}",
            units="1",
            compute=partial(neighbourhood_probability, threshold=threshold, side=variable.event, width=width),
        )
        for threshold in variable.thresholds
    ]


def _event(variable: Variable, threshold: float) -> str:
    side = "at least" if variable.event == "above" else "at most"
    return f"{variable.long_name or variable.name} {side} {threshold:g} {variable.units}"


PRODUCTS: dict[str, Maker] = {
    "mean": _of_fields("mean", "ensemble mean", mean, "realization: mean"),
    "spread": _of_fields("spread", "ensemble spread", spread, "realization: standard_deviation"),
    "probability": _probabilities,
    "neighbourhood": _neighbourhood_probabilities,
    "pmm": _of_fields("pmm", "probability-matched mean", probability_matched_mean),
}
"""By the name that users write."""
