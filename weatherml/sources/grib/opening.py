"""From what stands in files, or in a bucket, to a source: which variables, which hours, on which grid."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.sources.base import regular_step
from weatherml.sources.grib.archive import RemoteFile, RemoteHours, first_section, scan_bucket
from weatherml.sources.grib.grid import common_grid, grid_of, relative_to_grid
from weatherml.sources.grib.headers import Keys
from weatherml.sources.grib.index import Hours, ScannedFile, first_places, sections, usable_hours
from weatherml.sources.grib.source import GribSource, StaticField
from weatherml.sources.grib.table import PlaceTable
from weatherml.sources.grib.variable import GribVariable
from weatherml.sources.remote import Bucket
from weatherml.sources.source import Array
from weatherml.variables import Variable


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for.

    Attributes:
        variables: in order.
        named: they were asked for by name: one that is absent is an error, and else a note.
        statics: the fields that do not change; their places are found.
        lead: valid time minus reference time; None is any.
    """

    variables: tuple[GribVariable, ...]
    named: bool
    statics: dict[str, StaticField]
    lead: np.timedelta64 | None

    @property
    def keys(self) -> dict[str, Keys]:
        """Of everything, by name."""
        return {name: static.keys for name, static in self.statics.items()} | {v.name: v.keys for v in self.variables}

    @property
    def sidecars(self) -> dict[str, str]:
        """The `.idx` form of everything, by name.

        Raises:
            ConfigError: a variable that has none.
        """
        forms = {name: static.sidecar for name, static in self.statics.items()}
        for variable in self.variables:
            if variable.sidecar is None:
                at = f"variables.{variable.name}.sidecar"
                raise ConfigError(f"{at}: not set; write short name and level as in the .idx files, PRATE:surface")
            forms[variable.name] = variable.sidecar
        return forms

    def among(self, names: Container[str], damage: str, where: str) -> tuple[GribVariable, ...]:
        """The variables that are there under `names`.

        Raises:
            BadDataError: for `damage`, or as none matches `where`: one that was named is absent, or all are.
        """
        absent = [variable.name for variable in self.variables if variable.name not in names]
        if absent and (self.named or len(absent) == len(self.variables)):
            asked = ", ".join(f"variables.{name}" for name in absent)
            raise BadDataError(damage or f"{asked}: no message matches {where}; leave out, or mend keys")
        return tuple(variable for variable in self.variables if variable.name in names)


def open_files(
    wanted: Wanted, files: Sequence[ScannedFile], within: Callable[[Array], Array], *, at: str
) -> GribSource:
    """Sort what scanned files hold into hours; `within` chooses among them, `at` names the files in errors.

    Raises:
        BadDataError: no usable hour, a variable asked for that is absent, the same field twice, two grids,
            or irregular times.
    """
    variables = wanted.among(*_in_files(wanted, files))
    names = [variable.name for variable in variables]
    hours = usable_hours(files, names, within)
    definitions = sections(files, names)
    grid = common_grid(definitions)
    attributes, wind_notes = _winds(variables, _wind_sections(variables, hours), grid)
    places = first_places(files, wanted.statics, definitions)
    spots = {time: {name: place.spot for name, place in state.items()} for time, state in hours.usable.items()}
    return GribSource(
        variables=variables,
        section=next(iter(definitions)),
        inputs={str(scanned.path): scanned.size for scanned in files},
        step=regular_step(hours.times, at),
        table=PlaceTable.of(spots, names),
        statics={name: replace(wanted.statics[name], spots=found) for name, found in places.items()},
        notes=(*_absent(wanted, variables), *_overlaps(files, hours), *wind_notes),
        quarantined={f"{time}Z": reason for time, reason in hours.quarantined.items()},
        attributes={"source": "GRIB2", **attributes},
    )


def open_bucket(wanted: Wanted, bucket: Bucket, files: Mapping[np.datetime64, RemoteFile]) -> GribSource:
    """Look into the `.idx` files of all times asked for, and into one message for the grid.

    Raises:
        MissingInputError: no file at any of the times, or a bucket that none may read.
        BadDataError: no usable hour, or a variable asked for that is absent.
        TemporaryError: the bucket does not answer.
    """
    hours = scan_bucket(bucket, files, wanted.sidecars)
    damage = "" if hours.found else next(iter(hours.damaged.values()))
    variables = wanted.among(hours.names, damage, f"in the indices of {len(hours.found)} hours")
    names = [variable.name for variable in variables]
    whole = hours.whole(names)
    if not whole:
        raise BadDataError(next(iter(hours.quarantined(names).values())))
    oriented = next((variable.name for variable in variables if variable.component), names[0])
    section = first_section(bucket, hours.spots(oriented))
    attributes, wind_notes = _winds(variables, {section}, grid_of(section))
    sizes = {spots[names[0]].path: sum(spots[name].length for name in names) for spots in whole.values()}
    return GribSource(
        variables=variables,
        section=section,
        inputs={bucket.at(path.as_posix()): size for path, size in sizes.items()},
        step=regular_step(np.array(list(files), "datetime64[s]"), bucket.url),
        table=PlaceTable.of(whole, names),
        statics={
            name: replace(static, spots=hours.spots(name))
            for name, static in wanted.statics.items()
            if name in hours.names
        },
        notes=(*_absent(wanted, variables), *_gone(hours, len(files)), *wind_notes),
        quarantined=hours.quarantined(names),
        attributes={"source": "GRIB2", **attributes},
        bucket=bucket,
        lead=next(iter(files.values())).lead,
    )


def _in_files(wanted: Wanted, files: Sequence[ScannedFile]) -> tuple[set[str], str, str]:
    """What stands in files without damage, the first damage, and where that is in words."""
    whole = {name for scanned in files if not scanned.damage for name, _ in scanned.found}
    damage = next((scanned.damage for scanned in files if scanned.damage), "")
    lead = "" if wanted.lead is None else f" at lead {wanted.lead / np.timedelta64(1, 'h'):g} h"
    return whole, damage, f"in {len(files)} files{lead}"


def _wind_sections(variables: Iterable[Variable], hours: Hours) -> set[bytes]:
    """Section 3 of all wind components."""
    names = [variable.name for variable in variables if variable.component]
    return {state[name].field.grid for state in hours.usable.values() for name in names}


def _winds(variables: Iterable[Variable], definitions: set[bytes], grid: Grid) -> tuple[dict[str, str], list[str]]:
    """The global attribute that marks wind components along the grid, or a note that they are not."""
    names = [variable.name for variable in variables if variable.component]
    if names and all(map(relative_to_grid, definitions)):
        return {"wind_orientation": "grid"}, []
    if names and grid.kind == "projected":
        return {}, [f"{', '.join(names)}: point east and north, not along the grid (uvRelativeToGrid = 0)"]
    return {}, []


def _absent(wanted: Wanted, variables: Iterable[Variable]) -> Iterator[str]:
    """What the default set lacks."""
    present = {variable.name for variable in variables}
    if absent := [variable.name for variable in wanted.variables if variable.name not in present]:
        yield f"{', '.join(absent)}: in none of the files, left out"


def _overlaps(files: Iterable[ScannedFile], hours: Hours) -> Iterator[str]:
    """Which runs were passed over, and damage that cost no hour."""
    if hours.overlapping:
        yield f"{hours.overlapping} times stand at several lead times: the shortest was taken"
    told = set(hours.quarantined.values())
    yield from (scanned.damage for scanned in files if scanned.damage and scanned.damage not in told)


def _gone(hours: RemoteHours, asked: int) -> Iterator[str]:
    """The hours that a bucket lacks: those at the ends of the range stand in no gap."""
    if hours.missing:
        yield f"{len(hours.missing)} of {asked} hours are not in the archive, the first {hours.missing[0]}Z"
