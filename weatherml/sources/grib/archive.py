"""The hours of a remote archive by its `.idx` files: where each field lies, without a byte of the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from weatherml.errors import BadDataError, MissingInputError
from weatherml.sources.grib.index import FIRST, incomplete
from weatherml.sources.grib.message import extract
from weatherml.sources.grib.octets import GribError
from weatherml.sources.grib.sidecar import MOST_BYTES, Entry, choose, parse_sidecar
from weatherml.sources.grib.table import Spot
from weatherml.sources.remote import Bucket, in_threads

SUFFIX = ".idx"
FIRST_CONTACT_SECONDS = 20.0
"""A bucket that does not answer is known after these, however long an answer is waited for later."""
MOST_MESSAGE_BYTES = 1 << 28
"""HRRR's largest have 4 MB."""

Spots = dict[str, Spot]


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of an archive: its key, run and forecast hour."""

    key: str
    reference: np.datetime64
    lead: np.timedelta64


@dataclass(frozen=True, kw_only=True)
class RemoteHours:
    """What an archive has at the times asked for, in order.

    Attributes:
        found: places of the wanted fields, by time and name.
        damaged: times whose index cannot be used, with the reason.
        missing: times that the archive does not have.
    """

    found: dict[np.datetime64, Spots]
    damaged: dict[np.datetime64, str]
    missing: tuple[np.datetime64, ...]

    @property
    def names(self) -> set[str]:
        """The wanted fields that stand at any time."""
        return {name for spots in self.found.values() for name in spots}

    def whole(self, names: Sequence[str]) -> dict[np.datetime64, Spots]:
        """The times that have all of `names`."""
        return {time: spots for time, spots in self.found.items() if all(name in spots for name in names)}

    def quarantined(self, names: Sequence[str]) -> dict[str, str]:
        """Why each of the other times that are there is not used."""
        lacking = {
            time: incomplete(time, spots.values(), [name for name in names if name not in spots])
            for time, spots in self.found.items()
            if any(name not in spots for name in names)
        }
        return {f"{time}Z": reason for time, reason in sorted((self.damaged | lacking).items())}

    def spots(self, name: str) -> tuple[Spot, ...]:
        """The first few places of one field."""
        return tuple(islice((spots[name] for spots in self.found.values() if name in spots), FIRST))


def scan_bucket(bucket: Bucket, files: Mapping[np.datetime64, RemoteFile], wanted: Mapping[str, str]) -> RemoteHours:
    """Look up the `wanted` fields, `.idx` forms by name, in the files of some times; many at a time.

    Raises:
        MissingInputError: no file at any of the times, or a bucket that none may read.
        TemporaryError: the bucket does not answer.
    """
    first = replace(bucket, budget_seconds=min(bucket.budget_seconds, FIRST_CONTACT_SECONDS))
    first.get(next(iter(files.values())).key + SUFFIX, most=MOST_BYTES)
    answers = dict(zip(files, in_threads(partial(_scan, bucket, wanted=wanted), files.values()), strict=True))
    if all(answer is None for answer in answers.values()):
        first_time, last_time = min(files), max(files)
        raise MissingInputError(
            f"{bucket.url}: no hour from {first_time}Z to {last_time}Z; check start, end and the address"
        )
    return RemoteHours(
        found={time: answer for time, answer in answers.items() if isinstance(answer, dict)},
        damaged={time: answer for time, answer in answers.items() if isinstance(answer, str)},
        missing=tuple(time for time, answer in answers.items() if answer is None),
    )


def first_section(bucket: Bucket, spots: Sequence[Spot]) -> bytes:
    """The grid definition of the first of some fields that can be read.

    Raises:
        BadDataError: none of them can.
        TemporaryError: the bucket does not answer.
    """
    reason = ""
    for spot in spots:
        try:
            messages = bucket.ranges(spot.path.as_posix(), [(spot.offset, spot.length)])
            if messages is not None:
                return extract(messages[0], spot.number)[0].grid
        except BadDataError as error:
            reason = str(error)
    raise BadDataError(f"{bucket.at(spots[0].path.as_posix())}: {reason or 'not there'}; begin at another time")


def _scan(bucket: Bucket, file: RemoteFile, wanted: Mapping[str, str]) -> Spots | str | None:
    """The places of the wanted fields in a file; why its index is no good; or None where there is none."""
    key = file.key + SUFFIX
    try:
        content = bucket.get(key, most=MOST_BYTES)
        if content is None:
            return None
        entries = choose(parse_sidecar(content), wanted, file.reference, file.lead)
        return {name: _spot(bucket, file.key, entry) for name, entry in entries.items()}
    except GribError as error:
        return f"{bucket.at(key)}: {error}; the hour is left out"
    except BadDataError as error:
        return str(error)


def _spot(bucket: Bucket, key: str, entry: Entry) -> Spot:
    """The place of an entry; the last of a file ends with it.

    Raises:
        GribError: no message lies there, or one larger than any is.
    """
    length = entry.length
    if length is None:
        length = (bucket.size(key) or 0) - entry.offset
        if length <= 0:
            raise GribError(f"the file ends before {entry.form}")
    if length > MOST_MESSAGE_BYTES:
        raise GribError(f"{entry.form} has {length} bytes, at most {MOST_MESSAGE_BYTES} are read")
    return Spot(Path(key), entry.offset, length, entry.number)
