"""HRRR, and anything else in GRIB2 on one grid: local files, variables chosen by message keys.

The files are scanned once, headers only, into a table of places (file, byte offset, length) by time and
variable; `read` goes straight to them. Runs may overlap (f00 beside f01): a state is taken from the run
with the shortest lead that has it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import model_validator

from weatherml.config import parse
from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources import grib
from weatherml.sources.base import SOURCES, Array, Description, Frame, Source, SourceConfig, Static, regular_step
from weatherml.sources.grib import INSTANT, Keys
from weatherml.sources.inputs import input_paths
from weatherml.variables import TABLE, Variable


def _keys(discipline: int, category: int, number: int, surface: int, level: float) -> Keys:
    return {
        "discipline": discipline,
        "parameterCategory": category,
        "parameterNumber": number,
        "typeOfFirstFixedSurface": surface,
        "level": level,
        "productDefinitionTemplateNumber": INSTANT,
    }


CHANNEL_KEYS: dict[str, Keys] = {
    "refc": _keys(0, 16, 196, 10, 0),
    "t2m": _keys(0, 0, 0, 103, 2),
    "d2m": _keys(0, 0, 6, 103, 2),
    "u10": _keys(0, 2, 2, 103, 10),
    "v10": _keys(0, 2, 3, 103, 10),
    "cape": _keys(0, 7, 6, 1, 0),
    "cin": _keys(0, 7, 7, 1, 0),
}
"""Never by message number: CAPE at the surface is message 105 of an f00 file and 108 of an f05 file."""

STATIC_KEYS: dict[str, Keys] = {
    "orography": _keys(0, 3, 5, 1, 0),
    "land_binary_mask": _keys(2, 0, 0, 1, 0),
}
STATIC_ATTRIBUTES = {
    "orography": {"standard_name": "surface_altitude", "units": "m"},
    "land_binary_mask": {"standard_name": "land_binary_mask", "units": "1"},
}


@SOURCES.register("hrrr")
class HRRR(SourceConfig):
    """GRIB2 files: folders (searched through), globs or files, any mix of analyses and forecasts.

    `variables` maps names to settings of `Variable` with `keys` and `missing` (see `GribVariable`).
    The seven channels (`refc`, `t2m`, `d2m`, `u10`, `v10`, `cape`, `cin`) are known by name, so that
    `{refc: {}, t2m: {}}` is a subset; anything else needs `units` and `keys`, for example
    `{rain: {keys: {discipline: 209, parameterCategory: 6, parameterNumber: 1}, units: mm h-1, missing: -3}}`.
    """

    @model_validator(mode="after")
    def _variables_are_known(self) -> HRRR:
        self.selection()
        return self

    def selection(self) -> tuple[grib.GribVariable, ...]:
        """The wanted variables, in order.

        Raises:
            ConfigError: an unknown setting or key, or a name with neither keys nor a table entry.
        """
        wanted: dict[str, dict[str, Any]] = self.variables or {name: {} for name in CHANNEL_KEYS}
        return tuple(_variable(name, settings) for name, settings in wanted.items())

    def build(self, inputs: Sequence[str]) -> HRRRSource:
        """Scan the headers of all files and sort what they hold into hours.

        Raises:
            MissingInputError: no GRIB file.
            BadDataError: no usable hour, a variable asked for that is absent, the same field twice, two grids,
                or irregular times.
        """
        wanted = STATIC_KEYS | {variable.name: variable.keys for variable in self.selection()}
        files = [grib.scan_file(path, wanted) for path in input_paths(inputs, grib.is_grib, what="GRIB2")]
        variables = _present(self, files)
        hours = grib.usable_hours(files, [variable.name for variable in variables], self.within)
        sections = grib.sections(files, [variable.name for variable in variables])
        grid = grib.common_grid(sections)
        attributes, wind_notes = _winds(variables, hours, grid)
        return HRRRSource(
            variables=variables,
            section=next(iter(sections)),
            inputs={str(scanned.path): scanned.size for scanned in files},
            step=regular_step(hours.times, ", ".join(inputs)),
            table=grib.PlaceTable.of(hours.usable, [variable.name for variable in variables]),
            statics=grib.first_places(files, STATIC_KEYS, sections),
            notes=(*_notes(self, files, variables, hours), *wind_notes),
            quarantined={f"{time}Z": reason for time, reason in hours.quarantined.items()},
            attributes={"source": "GRIB2", **attributes},
        )


def _variable(name: str, settings: Mapping[str, Any]) -> grib.GribVariable:
    at = f"variables.{name}"
    if name not in CHANNEL_KEYS and "keys" not in settings:
        raise ConfigError(f"{at}: not a known channel; {suggest(name, CHANNEL_KEYS)}, or set {at}.keys and {at}.units")
    known = TABLE[name].settings() | {"keys": CHANNEL_KEYS[name]} if name in CHANNEL_KEYS else {}
    return parse(grib.GribVariable, {**known, **settings, "name": name}, at=at)


def _present(config: HRRR, files: Sequence[grib.ScannedFile]) -> tuple[grib.GribVariable, ...]:
    """The wanted variables that stand in files without damage.

    Raises:
        BadDataError: one that was asked for by name stands in none, or none at all does.
    """
    selection = config.selection()
    whole = {name for scanned in files if not scanned.damage for name, _ in scanned.found}
    damage = next((scanned.damage for scanned in files if scanned.damage), "")
    absent = [variable.name for variable in selection if variable.name not in whole]
    if absent and (config.variables or len(absent) == len(selection)):
        names = ", ".join(f"variables.{name}" for name in absent)
        raise BadDataError(damage or f"{names}: no message matches in {len(files)} files; leave out, or mend keys")
    return tuple(variable for variable in selection if variable.name in whole)


def _winds(variables: Iterable[Variable], hours: grib.Hours, grid: Grid) -> tuple[dict[str, str], list[str]]:
    """The global attribute that marks wind components along the grid, or a note that they are not."""
    names = [variable.name for variable in variables if variable.component]
    sections = {state[name].field.grid for state in hours.usable.values() for name in names}
    if sections and all(map(grib.relative_to_grid, sections)):
        return {"wind_orientation": "grid"}, []
    if sections and grid.kind == "projected":
        return {}, [f"{', '.join(names)}: point east and north, not along the grid (uvRelativeToGrid = 0)"]
    return {}, []


def _notes(
    config: HRRR, files: Iterable[grib.ScannedFile], variables: Iterable[Variable], hours: grib.Hours
) -> Iterator[str]:
    """What the default set lacks, which runs were passed over, and damage that cost no hour."""
    present = {variable.name for variable in variables}
    if absent := [variable.name for variable in config.selection() if variable.name not in present]:
        yield f"{', '.join(absent)}: in none of the files, left out"
    if hours.overlapping:
        yield f"{hours.overlapping} times stand at several lead times: the shortest was taken"
    told = set(hours.quarantined.values())
    yield from (scanned.damage for scanned in files if scanned.damage and scanned.damage not in told)


@dataclass(frozen=True, kw_only=True)
class HRRRSource(Source):
    """Scanned GRIB2 files.

    Attributes:
        variables: the channels with their keys.
        section: section 3 of a message, which defines the grid.
        inputs: path to size.
        step: the regular time step.
        table: the hours that are whole, and where their fields lie.
        statics: places of the fields that do not change.
        notes: in words, what was left out.
        quarantined: hours that are not whole, with the reason.
        attributes: global attributes.
    """

    isolated: ClassVar[bool] = True

    variables: tuple[grib.GribVariable, ...]
    section: bytes
    inputs: dict[str, int]
    step: np.timedelta64
    table: grib.PlaceTable
    statics: dict[str, tuple[grib.Place, ...]]
    notes: tuple[str, ...]
    quarantined: dict[str, str]
    attributes: dict[str, str]

    @property
    def grid(self) -> Grid:
        """The grid of all fields."""
        return grib.grid_of(self.section)

    @property
    def times(self) -> Array:
        """(N,) datetime64[s], the hours that are whole."""
        return self.table.times

    def describe(self) -> Description:
        """What the files hold; the first call decodes the static fields."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        decoded = grib.decode_apart(self.statics, self.grid.shape)
        broken = tuple(f"{name}: cannot be decoded, left out" for name in self.statics if name not in decoded)
        return Description(
            grid=self.grid,
            variables=tuple(variable.channel for variable in self.variables),
            times=self.times,
            step=self.step,
            static={name: Static(values=field, attributes=STATIC_ATTRIBUTES[name]) for name, field in decoded.items()},
            inputs=self.inputs,
            notes=self.notes + broken,
            quarantined=self.quarantined,
            attributes=self.attributes,
        )

    def narrowed(self, time: np.datetime64) -> HRRRSource:
        """This one time's messages: a few kB, whatever the archive's size."""
        return replace(self, table=self.table.only(time), inputs={}, statics={}, notes=(), quarantined={})

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`, decoded by eccodes in this process.

        Raises:
            BadDataError: a file that has changed since the scan, or a message that cannot be decoded.
        """
        for time in times:
            places = zip(self.variables, self.table.row(time), strict=True)
            yield {variable.name: _values(variable, time, *place) for variable, place in places}


def _values(variable: grib.GribVariable, time: np.datetime64, path: Path, *place: int) -> Array:
    """(H, W) float32 of one variable at one time, NaN where missing."""
    try:
        field, message = grib.read_field(path, *place)
        if not (field.matches(variable.keys) and field.valid == time):
            raise grib.GribError("another message now stands at its place")
        values = grib.decode(message, grib.grid_of(field.grid).shape)
    except (OSError, grib.GribError) as error:
        raise BadDataError(f"{path}: {variable.name} at {time}Z: {error}; fetch the file again") from None
    if variable.missing is not None:
        values[values == np.float32(variable.missing)] = np.nan
    return values
