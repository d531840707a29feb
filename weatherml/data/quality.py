"""Quality checks of one time's fields: what is impossible is masked and said, never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.packing import Packing, pack
from weatherml.data.shards import Encoded
from weatherml.errors import BadDataError
from weatherml.sources.base import Frame
from weatherml.variables import Variable

Array = npt.NDArray[Any]
MOST_MASKED = 0.05
"""A time is quarantined where a larger share of a variable's known points is impossible."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One time's fields, checked, packed and compressed.

    Attributes:
        fields: by variable name.
        findings: entries for quality.json: masked points and constant fields.
    """

    fields: dict[str, Encoded]
    findings: tuple[dict[str, Any], ...]


def check_and_pack(
    frame: Frame, variables: tuple[Variable, ...], packings: tuple[Packing, ...], tile: int | None = None
) -> Checked:
    """Mask what lies outside the valid or packable range, and pack the rest, in chunks of `tile` points a side.

    Raises:
        BadDataError: a variable is absent, all missing, or impossible over more than `MOST_MASKED` of the field.
    """
    fields, findings = {}, []
    for variable, packing in zip(variables, packings, strict=True):
        if variable.name not in frame:
            raise BadDataError(f"{variable.name}: absent; the time is left out")
        values, found = check(frame[variable.name], variable, packing)
        fields[variable.name] = Encoded.of(pack(values, packing), tile)
        findings += found
    return Checked(fields=fields, findings=tuple(findings))


def check(values: Array, variable: Variable, packing: Packing) -> tuple[Array, list[dict[str, Any]]]:
    """The values with impossible points as NaN, and what was found; rounding over a bound is taken back."""
    low, high = bounds(variable, packing)
    slack = packing.scale_factor  # packing in the source may round a bounded variable just over its bound
    lowest, highest = values.min(), values.max()
    if low - slack <= lowest <= highest <= high + slack:  # whole, as most fields are: a NaN compares false
        within = low <= lowest and highest <= high
        return values if within else np.clip(values, low, high), _constant(values, variable)
    known = ~np.isnan(values)  # an infinity is no missing value but an impossible one
    if not known.any():
        raise BadDataError(f"{variable.name}: no value; the time is left out")
    bad = known & ((values < low - slack) | (values > high + slack))
    count = int(bad.sum())
    if count > MOST_MASKED * known.sum():
        raise BadDataError(
            f"{variable.name}: {count} of {known.sum()} points outside [{low:g}, {high:g}] {variable.units}; "
            "check units and grid"
        )
    cleaned = np.where(bad | ~known, np.nan, np.clip(values, low, high))
    findings = [_masked(values[bad], variable, (low, high))] if count else []
    return cleaned, findings + _constant(values[known & ~bad], variable)


def bounds(variable: Variable, packing: Packing) -> tuple[float, float]:
    """The values that may stand in the store: the valid range, as far as it can be packed."""
    low, high = packing.range
    return (
        low if variable.valid_min is None else max(low, variable.valid_min),
        high if variable.valid_max is None else min(high, variable.valid_max),
    )


def _masked(values: Array, variable: Variable, valid: tuple[float, float]) -> dict[str, Any]:
    finite = np.clip(values, -1e38, 1e38)  # JSON has no infinity
    extremes = {"lowest": round(float(finite.min()), 4), "highest": round(float(finite.max()), 4)}
    return {"variable": variable.name, "finding": "masked", "points": int(values.size), **extremes, "valid": valid}


def _constant(values: Array, variable: Variable) -> list[dict[str, Any]]:
    lowest, highest = float(values.min()), float(values.max())
    ordinary = {0.0, variable.valid_min, variable.valid_max}  # no rain, no echo, no CAPE anywhere
    if lowest < highest or lowest in ordinary or values.size == 1:
        return []
    return [{"variable": variable.name, "finding": "constant", "value": lowest}]


def gaps(times: Array, step: np.timedelta64) -> list[str]:
    """The times absent between the first and the last, ISO 8601 UTC."""
    whole = np.arange(times[0], times[-1] + step, step)
    return [f"{time}Z" for time in np.setdiff1d(whole, times)]
