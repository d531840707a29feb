"""What a field is: sections 1 (reference time) and 4 (product) of its message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from weatherml.sources.grib.octets import signed, unsigned

Keys = dict[str, float]

KEYS = (
    "discipline",
    "parameterCategory",
    "parameterNumber",
    "typeOfFirstFixedSurface",
    "level",
    "typeOfSecondFixedSurface",
    "secondLevel",
    "typeOfGeneratingProcess",
    "productDefinitionTemplateNumber",
    "typeOfStatisticalProcessing",
)
"""The keys by which a message can be chosen: code-table numbers, and the levels in the surface's units."""

INSTANT, INTERVAL = 0, 8  # product definition templates 4.0 and 4.8
UNIT_SECONDS = {0: 60, 1: 3600, 2: 86400, 10: 3 * 3600, 11: 6 * 3600, 12: 12 * 3600, 13: 1}  # code table 4.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field's headers.

    Attributes:
        offset: the first byte of its message in the file.
        length: the message's bytes.
        number: the field within the message; 0 but in messages that share sections between fields.
        keys: values of `KEYS`; a key that the message lacks is absent.
        reference: reference time, datetime64[s] UTC.
        valid: valid time, the end of the interval for sums, means and extremes.
        grid: section 3, for `grid_of`.
    """

    offset: int
    length: int
    number: int
    keys: Keys
    reference: np.datetime64
    valid: np.datetime64
    grid: bytes

    @property
    def lead(self) -> np.timedelta64:
        """Valid time minus reference time."""
        return np.timedelta64(self.valid - self.reference, "s")

    def matches(self, keys: Mapping[str, float]) -> bool:
        """Whether every one of `keys` has this value here."""
        return all(self.keys.get(key) == value for key, value in keys.items())


def field_of(sections: Mapping[int, bytes], discipline: int, *, offset: int, length: int, number: int) -> Field | None:
    """The field that sections 1, 3 and 4 describe; None for product templates other than 4.0 and 4.8.

    Raises:
        KeyError, ValueError, IndexError: a section that is absent, too short, or holds no time.
    """
    product = _product(sections[4])
    if product is None:
        return None
    reference = _time(sections[1], 13)
    return Field(
        offset=offset,
        length=length,
        number=number,
        keys={"discipline": discipline, **product},
        reference=reference,
        valid=_valid_time(sections[4], reference),
        grid=sections[3],
    )


def _product(section: bytes) -> Keys | None:
    """The keys of section 4; None for templates that say something else there (ensembles, satellites)."""
    template = unsigned(section, 8, 2)
    if template not in (INSTANT, INTERVAL):
        return None
    keys: Keys = {
        "productDefinitionTemplateNumber": template,
        "parameterCategory": section[9],
        "parameterNumber": section[10],
        "typeOfGeneratingProcess": section[11],
        "typeOfFirstFixedSurface": section[22],
        "typeOfSecondFixedSurface": section[28],
        **_level("level", section, 24),
        **_level("secondLevel", section, 30),
    }
    if template == INTERVAL:
        keys["typeOfStatisticalProcessing"] = section[46]
    return keys


def _level(name: str, section: bytes, octet: int) -> Keys:
    """A scale factor and a scaled value; nothing where either is missing (all bits set)."""
    if section[octet - 1] == 0xFF or section[octet : octet + 4] == b"\xff\xff\xff\xff":
        return {}
    return {name: signed(section, octet + 1, 4) * 10.0 ** -signed(section, octet, 1)}


def _valid_time(section: bytes, reference: np.datetime64) -> np.datetime64:
    if unsigned(section, 8, 2) == INTERVAL:
        return _time(section, 35)
    return reference + np.timedelta64(signed(section, 19, 4) * UNIT_SECONDS[section[17]], "s")


def _time(section: bytes, octet: int) -> np.datetime64:
    """Year (two octets), month, day, hour, minute, second."""
    parts = section[octet + 1 : octet + 6]
    return np.datetime64(datetime(unsigned(section, octet, 2), *parts), "s")  # noqa: DTZ001 - GRIB is UTC
