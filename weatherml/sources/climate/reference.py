"""Targets as changes since a reference period, and the reference itself as an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.sources.climate.scenarios import Archive, Scenario
from weatherml.sources.sequences import PARTS
from weatherml.variables import Variable

Array = npt.NDArray[Any]
REFERENCE = "_reference"


def with_reference(archive: Archive, years: tuple[int, int]) -> Archive:
    """The archive with each target as its change since the mean of the training steps of some years.

    The mean is of each calendar month, and enters as an input beside the forcings. Forcings of the world are
    the same at each longitude, so that a convolution round the globe could not tell land from sea without it.

    Raises:
        BadDataError: no training step within the years.
    """
    references = {target.name: _mean(archive, target.name, years) for target in archive.targets}
    inputs = [
        target.model_copy(update={"name": target.name + REFERENCE, "long_name": f"mean {target.long_name}"})
        for target in archive.targets
    ]
    return replace(
        archive,
        inputs=(*archive.inputs, *inputs),
        targets=tuple(_change(target, years) for target in archive.targets),
        scenarios=[replace(each, values=_since(each, references)) for each in archive.scenarios],
    )


def _change(target: Variable, years: tuple[int, int]) -> Variable:
    """A target's change, which may be below the least that the target itself can be."""
    text = f"change of {target.long_name or target.name} since {years[0]} to {years[1]}"
    return target.model_copy(update={"long_name": text, "valid_min": None, "valid_max": None})


def _mean(archive: Archive, name: str, years: tuple[int, int]) -> Array:
    """(12, H, W), the mean of each calendar month; NaN for months that annual data lack."""
    trained = [(scenario, scenario.part == PARTS.index("train")) for scenario in archive.scenarios]
    months = np.concatenate([scenario.months[chosen] for scenario, chosen in trained])
    values = np.concatenate([scenario.values[name][chosen] for scenario, chosen in trained])
    year = months.astype("datetime64[Y]").astype(int) + 1970
    within = (year >= years[0]) & (year <= years[1])
    if not within.any():
        raise BadDataError(f"reference: no training step from {years[0]} to {years[1]}; set other years")
    found = np.full((12, *values.shape[1:]), np.nan)
    for month in np.unique(_calendar(months[within])):
        found[month] = values[within & (_calendar(months) == month)].mean(axis=0)
    return found


def _since(scenario: Scenario, references: Mapping[str, Array]) -> dict[str, Array]:
    """The values with changes for targets, and the references."""
    there = {name: reference[_calendar(scenario.months)] for name, reference in references.items()}
    changes = {name: scenario.values[name] - reference for name, reference in there.items()}
    return {**scenario.values, **changes, **{name + REFERENCE: values for name, values in there.items()}}


def _calendar(months: Array) -> Array:
    return np.asarray(months.astype(int) % 12)
