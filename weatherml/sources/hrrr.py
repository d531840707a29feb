"""HRRR, and anything else in GRIB2 on one grid: local files, variables chosen by message keys.

The files are scanned once, headers only, into a table of places (file, byte offset, length) by time and
variable; `read` goes straight to them. Runs may overlap (f00 beside f01): a state is taken from the run
with the shortest lead that has it whole.
"""

from __future__ import annotations

import glob
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import model_validator

from weatherml.config import parse
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources import grib
from weatherml.sources.base import SOURCES, Array, Description, Frame, Source, SourceConfig, Static
from weatherml.sources.grib import Keys, Place, ScannedFile
from weatherml.variables import TABLE, Variable

SUFFIXES = {".grib2", ".grb2", ".grib", ".grb"}
HOUR = 3600
STATIC_ATTEMPTS = 3
ROW = np.dtype([("file", "i4"), ("offset", "i8"), ("length", "i8"), ("number", "i2")])

Time = np.datetime64
Lead = np.timedelta64
State = dict[str, Place]


def _keys(discipline: int, category: int, number: int, surface: int, level: float) -> Keys:
    return {
        "discipline": discipline,
        "parameterCategory": category,
        "parameterNumber": number,
        "typeOfFirstFixedSurface": surface,
        "level": level,
        "productDefinitionTemplateNumber": grib.INSTANT,
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


class GribVariable(Variable):
    """A `Variable` and where to find it.

    Attributes:
        keys: names of `grib.KEYS` with the values that a message must have.
        missing: a value that stands for no data, besides the bitmap.
    """

    keys: Keys
    missing: float | None = None

    @model_validator(mode="after")
    def _known_keys(self) -> GribVariable:
        for key in self.keys:
            if key not in grib.KEYS:
                raise ConfigError(f"variables.{self.name}.keys.{key}: unknown key; {suggest(key, grib.KEYS)}")
        if not self.keys:
            raise ConfigError(f"variables.{self.name}.keys: empty; set at least discipline and parameterNumber")
        return self

    @property
    def channel(self) -> Variable:
        """The variable without its keys."""
        return Variable(**{name: getattr(self, name) for name in Variable.model_fields})


@SOURCES.register("hrrr")
class HRRR(SourceConfig):
    """GRIB2 files: folders (searched through), globs or files, any mix of analyses and forecasts.

    `variables` maps names to settings of `Variable` with `keys` and `missing` (see `GribVariable`).
    The seven channels (`refc`, `t2m`, `d2m`, `u10`, `v10`, `cape`, `cin`) are known by name, so that
    `{refc: {}, t2m: {}}` is a subset; anything else needs `units` and `keys`, for example
    `{rain: {keys: {discipline: 209, parameterCategory: 6, parameterNumber: 1}, units: mm h-1, missing: -3}}`.
    """

    @model_validator(mode="after")
    def _usable(self) -> HRRR:
        self.selection()
        self.within([])
        return self

    def selection(self) -> tuple[GribVariable, ...]:
        """The wanted variables, in order.

        Raises:
            ConfigError: an unknown setting or key, or a name with neither keys nor a table entry.
        """
        wanted: dict[str, dict[str, Any]] = self.variables or {name: {} for name in CHANNEL_KEYS}
        return tuple(_variable(name, settings) for name, settings in wanted.items())

    def within(self, times: Iterable[Time]) -> list[Time]:
        """Those of `times` from `start` to `end`, sorted."""
        start, end = _utc(self.start, "start"), _utc(self.end, "end")
        return sorted(t for t in times if (start is None or t >= start) and (end is None or t <= end))

    def build(self, inputs: Sequence[str]) -> HRRRSource:
        """Scan the headers of all files and sort what they hold into hours."""
        selection = self.selection()
        wanted = {variable.name: variable.keys for variable in selection}
        files = [grib.scan_file(path, STATIC_KEYS | wanted) for path in _files(inputs)]
        return _source(self, selection, files)


def _variable(name: str, settings: Mapping[str, Any]) -> GribVariable:
    at = f"variables.{name}"
    if name not in CHANNEL_KEYS and "keys" not in settings:
        raise ConfigError(f"{at}: not a known channel; {suggest(name, CHANNEL_KEYS)}, or set {at}.keys and {at}.units")
    known = TABLE[name].settings() | {"keys": CHANNEL_KEYS[name]} if name in CHANNEL_KEYS else {}
    return parse(GribVariable, {**known, **settings, "name": name}, at=at)


def _utc(time: str | None, name: str) -> Time | None:
    """An ISO 8601 time as datetime64[s] UTC; without an offset it is UTC."""
    if time is None:
        return None
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        raise ConfigError(f"{name}: {time!r} is not an ISO 8601 time; write for example 2024-05-01T00:00Z") from None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "s")


def _files(inputs: Sequence[str]) -> list[Path]:
    """The GRIB files among `inputs`, each once, in the order of their paths.

    Raises:
        MissingInputError: an input that is not there or holds no GRIB file.
    """
    if not inputs:
        raise MissingInputError("hrrr: no input; name a folder of GRIB2 files with --input")
    return sorted({path.resolve(): path for text in inputs for path in _expand(text)}.values())


def _expand(text: str) -> list[Path]:
    """The files that one input stands for; a file named as such is taken whatever it is."""
    path = Path(text)
    if path.is_file():
        return [path]
    entries = path.rglob("*") if path.is_dir() else map(Path, glob.iglob(text, recursive=True))  # noqa: PTH207 - may be absolute
    found = [entry for entry in entries if entry.is_file() and _is_grib(entry)]
    if not found:
        what = "holds no GRIB2 file" if path.is_dir() else "no such file"
        raise MissingInputError(f"{text}: {what}; name a folder, glob or file of GRIB2")
    return found


def _is_grib(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as stream:
        return stream.read(len(grib.HEAD)) == grib.HEAD


def _source(config: HRRR, selection: Sequence[GribVariable], files: Sequence[ScannedFile]) -> HRRRSource:
    """Sort the fields found into hours that are whole and hours that are not.

    Raises:
        BadDataError: no usable hour, the same field twice, or two grids.
    """
    whole = {name for scanned in files if not scanned.damage for name, _ in scanned.found}
    variables = tuple(variable for variable in selection if variable.name in whole)
    names = [variable.name for variable in variables]
    if not names:
        raise BadDataError(_nothing(selection, files))
    states = _states(files, names)
    files_of = {p.field.grid: p.path for leads in states.values() for state in leads.values() for p in state.values()}
    grid = _grid(files_of)
    damaged = {time: scanned.damage for scanned in files for time in scanned.times if scanned.damage}
    times = config.within(states.keys() | damaged.keys())
    chosen = {time: _chosen(states.get(time, {}), names) for time in times}
    quarantined = {
        time: damaged.get(time) or _incomplete(time, state, names)
        for time, state in chosen.items()
        if len(state) < len(names)
    }
    usable = {time: state for time, state in chosen.items() if time not in quarantined}
    if not usable:
        raise BadDataError(next(iter(quarantined.values()), _outside(config, states)))
    return HRRRSource(
        variables=variables,
        grid=grid,
        inputs={str(scanned.path): scanned.size for scanned in files},
        times=np.array(list(usable), "datetime64[s]"),
        step=_step(times),
        table=_table(usable.values(), names, files),
        statics=_statics(files, set(files_of)),
        notes=(
            *_absent(selection, names),
            *_overlaps(states, usable),
            *_winds(variables, grid, usable),
            *(scanned.damage for scanned in files if scanned.damage and scanned.damage not in quarantined.values()),
        ),
        quarantined={str(time): reason for time, reason in quarantined.items()},
    )


def _states(files: Iterable[ScannedFile], names: Sequence[str]) -> dict[Time, dict[Lead, State]]:
    """The wanted fields by valid time, lead and variable.

    Raises:
        BadDataError: the same field twice.
    """
    states: dict[Time, dict[Lead, State]] = defaultdict(lambda: defaultdict(dict))
    for name, place in (found for scanned in files for found in scanned.found if found[0] in names):
        state = states[place.field.valid][place.field.lead]
        if name in state:
            raise BadDataError(_duplicate(name, state[name], place))
        state[name] = place
    return dict(states)


def _duplicate(name: str, first: Place, second: Place) -> str:
    time = f"{second.field.valid}Z"
    if first.path == second.path:
        return f"{first.path}: two messages match {name} at {time}; add to variables.{name}.keys what tells them apart"
    return f"{second.path}: duplicate hours, {name} at {time} is in {first.path} too; remove one of the two"


def _chosen(leads: Mapping[Lead, State], names: Sequence[str]) -> State:
    """The state of the shortest lead that is whole; where none is, each variable at its shortest lead."""
    merged: State = {}
    for lead in sorted(leads):
        if all(name in leads[lead] for name in names):
            return leads[lead]
        merged = leads[lead] | merged
    return merged


def _grid(files: Mapping[bytes, Path]) -> Grid:
    """The grid that all sections 3 define; each comes with a file that has it.

    Raises:
        BadDataError: naming a file on another grid than the first, and the difference.
    """
    grids: list[Grid] = []
    for section, path in files.items():
        try:
            grids.append(grib.grid_of(section))
        except grib.GribError as error:
            raise BadDataError(f"{path}: {error}; give files on such a grid") from None
        if difference := grids[0].difference(grids[-1]):
            raise BadDataError(f"{path}: {difference}; give only files on one grid")
    return grids[0]


def _step(times: Sequence[Time]) -> np.timedelta64:
    """The greatest common divisor of the differences; an hour where there is one time only."""
    seconds = np.diff(np.array(times, "datetime64[s]")).astype(np.int64)
    return np.timedelta64(int(np.gcd.reduce(seconds)) if len(seconds) else HOUR, "s")


def _table(states: Iterable[State], names: Sequence[str], files: Sequence[ScannedFile]) -> Array:
    """(N, C) rows of `ROW`: plain numbers, so that a source travels to its workers in little."""
    number = {scanned.path: index for index, scanned in enumerate(files)}
    places = [[state[name] for name in names] for state in states]
    return np.array(
        [[(number[p.path], p.field.offset, p.field.length, p.field.number) for p in row] for row in places], ROW
    )


def _statics(files: Iterable[ScannedFile], sections: set[bytes]) -> dict[str, tuple[Place, ...]]:
    """The first few places of each static field on the grid: where one is broken the next is tried."""
    places: dict[str, tuple[Place, ...]] = {}
    for name, place in (found for scanned in files for found in scanned.found if found[0] in STATIC_KEYS):
        if place.field.grid in sections:
            places[name] = (*places.get(name, ()), place)[:STATIC_ATTEMPTS]
    return places


def _nothing(selection: Sequence[GribVariable], files: Sequence[ScannedFile]) -> str:
    damage = next((scanned.damage for scanned in files if scanned.damage), "")
    names = ", ".join(variable.name for variable in selection)
    return damage or f"{files[0].path}: none of {names} in {len(files)} files; choose others by variables"


def _outside(config: HRRR, states: Mapping[Time, Any]) -> str:
    return f"start, end: {config.start} to {config.end} holds none of {min(states)}Z to {max(states)}Z; widen them"


def _incomplete(time: Time, state: State, names: Sequence[str]) -> str:
    files = sorted({place.path.name for place in state.values()})
    return f"no {', '.join(name for name in names if name not in state)} in {', '.join(files)} at {time}Z"


def _absent(selection: Sequence[GribVariable], names: Sequence[str]) -> Iterator[str]:
    if absent := [variable.name for variable in selection if variable.name not in names]:
        yield f"{', '.join(absent)}: in none of the files, left out"


def _overlaps(states: Mapping[Time, Mapping[Lead, State]], usable: Mapping[Time, State]) -> Iterator[str]:
    if count := sum(len(states[time]) > 1 for time in usable):
        yield f"{count} times stand at several lead times: the shortest was taken"


def _winds(variables: Sequence[GribVariable], grid: Grid, usable: Mapping[Time, State]) -> Iterator[str]:
    """A note where components point east and north on a grid whose x and y do not."""
    names = [variable.name for variable in variables if variable.component]
    sections = {state[name].field.grid for state in usable.values() for name in names}
    if grid.kind == "projected" and not all(grib.relative_to_grid(section) for section in sections):
        yield f"{', '.join(names)}: relative to east and north, not to the grid (uvRelativeToGrid = 0)"


@dataclass(frozen=True, kw_only=True)
class HRRRSource(Source):
    """Scanned GRIB2 files.

    Attributes:
        variables: the channels with their keys.
        grid: of all fields.
        inputs: path to size; `table` counts files in this order.
        times: (N,) datetime64[s], the hours that are whole.
        step: the regular time step.
        table: (N, C) of `ROW`, where each field lies.
        statics: places of the fields that do not change.
        notes: in words, what was left out.
        quarantined: hours that are not whole, with the reason.
    """

    isolated: ClassVar[bool] = True

    variables: tuple[GribVariable, ...]
    grid: Grid
    inputs: dict[str, int]
    times: Array
    step: np.timedelta64
    table: Array
    statics: dict[str, tuple[Place, ...]]
    notes: tuple[str, ...]
    quarantined: dict[str, str]

    def describe(self) -> Description:
        """What the files hold; the first call decodes the static fields."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        decoded = _decode_apart(self.statics, self.grid.shape)
        broken = tuple(f"{name}: cannot be decoded, left out" for name in self.statics if name not in decoded)
        return Description(
            grid=self.grid,
            variables=tuple(variable.channel for variable in self.variables),
            times=self.times,
            step=self.step,
            static={
                name: Static(values=values, attributes=STATIC_ATTRIBUTES[name]) for name, values in decoded.items()
            },
            inputs=self.inputs,
            notes=self.notes + broken,
            quarantined=self.quarantined,
            attributes={"source": "GRIB2"},
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without what is large and cached, the description and the grid's latitudes: workers only read."""
        state = {name: value for name, value in self.__dict__.items() if name != "_description"}
        return state | {"grid": replace(self.grid)}

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`, decoded by eccodes in this process.

        Raises:
            BadDataError: a file that has changed since the scan, or a message that cannot be decoded.
        """
        for time in times:
            (rows,) = np.nonzero(self.times == time)
            if not len(rows):
                raise BadDataError(f"{time}Z: not among the {len(self.times)} times; read times of the description")
            yield {
                variable.name: self._values(variable, time, row)
                for variable, row in zip(self.variables, self.table[rows[0]].tolist(), strict=True)
            }

    def _values(self, variable: GribVariable, time: Time, row: tuple[int, int, int, int]) -> Array:
        file, *place = row
        path = Path(tuple(self.inputs)[file])
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


def _decode_apart(statics: Mapping[str, Sequence[Place]], shape: tuple[int, int]) -> dict[str, Array]:
    """What can be decoded of `statics`, in a process of its own: a broken message may crash it."""
    decoded: dict[str, Array] = {}
    for attempt in range(STATIC_ATTEMPTS):
        pending = {name: p[attempt] for name, p in statics.items() if name not in decoded and attempt < len(p)}
        if pending:
            decoded |= _decode_in_child(pending, shape)
    return decoded


def _decode_in_child(places: Mapping[str, Place], shape: tuple[int, int]) -> dict[str, Array]:
    decoded: dict[str, Array] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        futures = {name: pool.submit(_decode_place, place, shape) for name, place in places.items()}
        for name, future in futures.items():
            with suppress(BrokenProcessPool, OSError, BadDataError):
                decoded[name] = future.result()
    return decoded


def _decode_place(place: Place, shape: tuple[int, int]) -> Array:
    _, message = grib.read_field(place.path, place.field.offset, place.field.length, place.field.number)
    return grib.decode(message, shape)
