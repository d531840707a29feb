"""The `.idx` file beside a GRIB file: one line a field, as wgrib2 writes it, read strictly.

`105:63951494:d=2025080100:CAPE:surface:anl:` is message number, first byte, reference time, short name,
level and forecast; fields of one message are numbered `105.1`, `105.2` at the same first byte. A message
ends where the next begins, the last with the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from weatherml.sources.grib.octets import GribError

MOST_BYTES = 1 << 22
"""HRRR's largest are 20 kB."""
LINE = re.compile(r"(\d{1,6})(?:\.(\d{1,3}))?:(\d{1,15}):d=(\d{10}):([^:]+):([^:]+):([^:]+):(.*)")
INSTANT = re.compile(r"(\d{1,6}) (min|hour|day) fcst")
SECONDS = {"min": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line.

    Attributes:
        offset: the first byte of the message.
        length: the message's bytes; None for the last of the file.
        number: the field within the message, from 0.
        reference: reference time, datetime64[s] UTC.
        form: short name and level, `CAPE:surface`.
        forecast: in wgrib2's words: `anl`, `8 hour fcst`, `7-8 hour max fcst`.
    """

    offset: int
    length: int | None
    number: int
    reference: np.datetime64
    form: str
    forecast: str

    @property
    def lead(self) -> np.timedelta64 | None:
        """Valid time minus reference time of a field at one time; None of one over an interval."""
        if self.forecast == "anl":
            return np.timedelta64(0, "s")
        match = INSTANT.fullmatch(self.forecast)
        return np.timedelta64(int(match[1]) * SECONDS[match[2]], "s") if match else None

    def matches(self, wanted: str, lead: np.timedelta64) -> bool:
        """Whether it is `wanted`: a form, then at the one time `lead`, or a form with the words of its forecast."""
        return (self.form == wanted and self.lead == lead) or f"{self.form}:{self.forecast}" == wanted


def parse_sidecar(content: bytes) -> list[Entry]:
    """The lines of an `.idx` file, in order.

    Raises:
        GribError: a line of another form, cut short, or out of order; or no line.
    """
    lines = [_matched(number, line) for number, line in enumerate(_lines(content), 1)]
    offsets = [int(match[3]) for match in lines]
    if offsets != sorted(offsets):
        raise GribError("its offsets do not increase")
    ends = dict(pairwise(dict.fromkeys(offsets)))
    return [_entry(match, ends.get(int(match[3]))) for match in lines]


def choose(
    entries: list[Entry], wanted: Mapping[str, str], reference: np.datetime64, lead: np.timedelta64
) -> dict[str, Entry]:
    """The entries that `wanted` names, by name; those that are absent are left out.

    Raises:
        GribError: entries of another run, or two for one name.
    """
    if other := next((entry for entry in entries if entry.reference != reference), None):
        raise GribError(f"it is of the run of {other.reference}Z")
    chosen: dict[str, Entry] = {}
    for name, form in wanted.items():
        found = [entry for entry in entries if entry.matches(form, lead)]
        if len(found) > 1:
            raise GribError(f"{len(found)} messages match {form}")
        if found:
            chosen[name] = found[0]
    return chosen


def _lines(content: bytes) -> list[str]:
    text = content.decode("ascii", errors="replace")
    if not text.endswith("\n"):
        raise GribError("it is cut short")
    return text.splitlines()


def _matched(number: int, line: str) -> re.Match[str]:
    match = LINE.fullmatch(line)
    if match is None:
        raise GribError(f"line {number} is not of an index")
    return match


def _entry(match: re.Match[str], end: int | None) -> Entry:
    offset = int(match[3])
    try:
        reference = np.datetime64(datetime.strptime(match[4], "%Y%m%d%H"), "s")  # noqa: DTZ007 - UTC by definition
    except ValueError:
        raise GribError(f"no time: d={match[4]}") from None
    return Entry(
        offset=offset,
        length=None if end is None else end - offset,
        number=int(match[2] or 1) - 1,
        reference=reference,
        form=f"{match[5]}:{match[6]}",
        forecast=match[7],
    )
