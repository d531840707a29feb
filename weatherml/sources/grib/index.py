"""Which fields an archive offers, and which of several runs a state is taken from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.sources.grib.headers import Field, Keys
from weatherml.sources.grib.message import scan
from weatherml.sources.grib.octets import GribError
from weatherml.sources.grib.table import Spot

Array = npt.NDArray[Any]
FIRST = 3  # places of a field that does not change


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A field and the file that holds it."""

    path: Path
    field: Field

    @property
    def spot(self) -> Spot:
        """Its place alone."""
        return Spot(self.path, self.field.offset, self.field.length, self.field.number)


State = dict[str, Place]
"""Where the fields of one time lie, by variable."""

States = dict[np.datetime64, dict[np.timedelta64, State]]
"""By valid time, then by lead time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannedFile:
    """What the headers of one file hold.

    Attributes:
        path: the file.
        size: in bytes.
        found: the wanted fields with their names.
        times: valid times of all its fields, wanted or not.
        damage: why the scan stopped early; empty where the file is whole.
    """

    path: Path
    size: int
    found: tuple[tuple[str, Place], ...]
    times: frozenset[np.datetime64]
    damage: str = ""


def scan_file(path: Path, wanted: Mapping[str, Keys]) -> ScannedFile:
    """Find the fields whose headers match one of `wanted`, by name; damage is kept, not raised."""
    found: list[tuple[str, Place]] = []
    times: set[np.datetime64] = set()
    damage = ""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            for field in scan(stream, size):
                times.add(field.valid)
                found += [(name, Place(path=path, field=field)) for name, keys in wanted.items() if field.matches(keys)]
    except GribError as error:
        damage = f"{path}: {error}; fetch the file again"
    return ScannedFile(path=path, size=size, found=tuple(found), times=frozenset(times), damage=damage)


def by_lead(files: Iterable[ScannedFile], names: Sequence[str]) -> States:
    """The fields called one of `names` by valid time, lead time and name.

    Raises:
        BadDataError: the same field twice.
    """
    states: States = defaultdict(lambda: defaultdict(dict))
    for name, place in (found for scanned in files for found in scanned.found if found[0] in names):
        state = states[place.field.valid][place.field.lead]
        if name in state:
            raise BadDataError(_duplicate(name, state[name], place))
        state[name] = place
    return dict(states)


def sections(files: Iterable[ScannedFile], names: Container[str]) -> dict[bytes, Path]:
    """The grid definitions of the fields called one of `names`, each with a file that has it."""
    found = (pair for scanned in files for pair in scanned.found)
    return {place.field.grid: place.path for name, place in found if name in names}


def shortest_lead(leads: Mapping[np.timedelta64, State], names: Sequence[str]) -> State:
    """The state of the shortest lead that is whole; where none is, each variable at its shortest lead."""
    merged: State = {}
    for lead in sorted(leads):
        if all(name in leads[lead] for name in names):
            return leads[lead]
        merged = leads[lead] | merged
    return merged


def first_places(
    files: Iterable[ScannedFile], names: Container[str], sections: Container[bytes]
) -> dict[str, tuple[Spot, ...]]:
    """The first few places of each field called one of `names` on a grid: where one is broken the next is tried."""
    places: dict[str, tuple[Spot, ...]] = {}
    for name, place in (found for scanned in files for found in scanned.found):
        if name in names and place.field.grid in sections:
            places[name] = (*places.get(name, ()), place.spot)[:FIRST]
    return places


def at_lead(files: Iterable[ScannedFile], lead: np.timedelta64) -> list[ScannedFile]:
    """The files with only their fields at one lead time."""
    return [
        replace(scanned, found=tuple(each for each in scanned.found if each[1].field.lead == lead)) for scanned in files
    ]


@dataclass(frozen=True, kw_only=True)
class Hours:
    """The valid times of an archive, in order.

    Attributes:
        usable: the fields of each time that has them all.
        quarantined: why each of the others is not used.
        overlapping: how many usable times stand at several lead times.
    """

    usable: dict[np.datetime64, State]
    quarantined: dict[np.datetime64, str]
    overlapping: int

    @property
    def times(self) -> Array:
        """(N,) datetime64[s], usable or not."""
        return np.array(sorted(self.usable | self.quarantined), "datetime64[s]")


def usable_hours(files: Sequence[ScannedFile], names: Sequence[str], within: Callable[[Array], Array]) -> Hours:
    """Sort the fields called one of `names` into hours; `within` chooses among the times.

    Raises:
        BadDataError: no usable hour, or the same field twice.
    """
    states = by_lead(files, names)
    damaged = {time: scanned.damage for scanned in files if scanned.damage for time in scanned.times}
    found = np.array(sorted(states.keys() | damaged.keys()), "datetime64[s]")
    chosen = {time: shortest_lead(states.get(time, {}), names) for time in within(found)}
    usable = {time: state for time, state in chosen.items() if len(state) == len(names)}
    quarantined = {
        time: damaged.get(time) or incomplete(time, state.values(), [name for name in names if name not in state])
        for time, state in chosen.items()
        if time not in usable
    }
    if not usable:
        outside = f"start, end: none of the times {found[0]}Z to {found[-1]}Z lies between; widen them"
        raise BadDataError(next(iter(quarantined.values()), outside))
    return Hours(usable=usable, quarantined=quarantined, overlapping=sum(len(states[time]) > 1 for time in usable))


def incomplete(time: np.datetime64, places: Iterable[Place | Spot], absent: Sequence[str]) -> str:
    """In words, what a time does not have, whose other fields lie at `places`."""
    files = sorted({place.path.name for place in places})
    return f"no {', '.join(absent)} in {', '.join(files) or 'its file'} at {time}Z"


def _duplicate(name: str, first: Place, second: Place) -> str:
    time = f"{second.field.valid}Z"
    if first.path == second.path:
        return f"{first.path}: two messages match {name} at {time}; add to variables.{name}.keys what tells them apart"
    return f"{second.path}: duplicate hours, {name} at {time} is in {first.path} too; remove one of the two"
