"""Any CF NetCDF files or zarr stores over (time, y, x) or (time, latitude, longitude), under any names.

Dimensions are recognised by their coordinates' attributes, then by usual names. Files may follow each
other in time or hold different variables; what is read is where every variable is present.
"""

from __future__ import annotations

import glob
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import model_validator

from weatherml.config import parse
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources.base import SOURCES, Array, Description, Frame, Source, SourceConfig, Static
from weatherml.variables import TABLE, Variable

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = {".nc", ".nc4", ".cdf", ".netcdf"}
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
SLAB_BYTES, MAX_SLAB = 1 << 28, 64
HOUR = 3600

AXES = {"T": "time", "Y": "y", "X": "x"}
STANDARD_NAMES = {
    "time": "time",
    "latitude": "y",
    "projection_y_coordinate": "y",
    "grid_latitude": "y",
    "longitude": "x",
    "projection_x_coordinate": "x",
    "grid_longitude": "x",
}
UNITS = {"degrees_north": "y", "degree_north": "y", "degrees_east": "x", "degree_east": "x"}
NAMES = {
    **dict.fromkeys(("time", "valid_time", "t", "date", "day", "month", "year"), "time"),
    **dict.fromkeys(("y", "yc", "j", "nj", "lat", "latitude", "rlat", "nlat", "south_north", "northing", "row"), "y"),
    **dict.fromkeys(("x", "xc", "i", "ni", "lon", "longitude", "rlon", "nlon", "west_east", "easting", "column"), "x"),
}
STATIC_NAMES = {
    **dict.fromkeys(("surface_altitude", "orog", "orography", "elevation", "terrain", "hgt"), "orography"),
    **dict.fromkeys(("land_binary_mask", "lsm", "land", "landmask", "land_mask"), "land_binary_mask"),
}

UNIT_ALIASES = {
    **dict.fromkeys(("kelvin", "k", "degk"), "K"),
    **dict.fromkeys(("degc", "celsius", "c", "degrees_celsius", "degree_celsius", "deg_c"), "degC"),
    **dict.fromkeys(("degf", "fahrenheit", "degrees_fahrenheit"), "degF"),
    **dict.fromkeys(("m/s", "m s**-1", "m s^-1", "meters/second", "m.s-1"), "m s-1"),
    **dict.fromkeys(("km/h", "km h**-1", "kph"), "km h-1"),
    **dict.fromkeys(("knot", "knots", "kt", "kts"), "kt"),
    **dict.fromkeys(("j/kg", "j kg**-1", "j kg^-1", "m2 s-2", "m**2 s**-2"), "J kg-1"),
    **dict.fromkeys(("dbz", "db"), "dBZ"),
}
CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("degC", "K"): (1.0, 273.15),
    ("K", "degC"): (1.0, -273.15),
    ("degF", "K"): (5 / 9, 459.67 * 5 / 9),
    ("km h-1", "m s-1"): (1 / 3.6, 0.0),
    ("kt", "m s-1"): (1852 / 3600, 0.0),
}
"""(scale, offset) of the conversions done; others are refused, never guessed."""


class NetCDFVariable(Variable):
    """A `Variable` and where to find it.

    Attributes:
        source_name: its name in the files; None looks for `name` in any case.
    """

    source_name: str | None = None


@SOURCES.register("netcdf")
class NetCDF(SourceConfig):
    """CF NetCDF files or zarr stores: folders (searched through), globs, files or stores.

    `variables` maps names in the dataset to settings of `Variable` and `source_name`, and chooses:
    `{t2m: {source_name: TMP_2m}}` reads that one variable. None takes every variable over time and grid.
    A known name (`t2m`, ...) takes the table's settings and units; another, what its attributes say.
    """

    @model_validator(mode="after")
    def _usable(self) -> NetCDF:
        for name, settings in (self.variables or {}).items():
            parse(NetCDFVariable, {"units": "1", **settings, "name": name}, at=f"variables.{name}")
        self.within(np.array([], "datetime64[s]"))
        return self

    def within(self, times: Array) -> Array:
        """Those of `times` from `start` to `end`."""
        first, last = _utc(self.start, "start"), _utc(self.end, "end")
        keep = np.ones(len(times), bool)
        keep &= times >= first if first is not None else True
        keep &= times <= last if last is not None else True
        return times[keep]

    def build(self, inputs: Sequence[str]) -> NetCDFSource:
        """Read the coordinates and attributes of all files."""
        paths = _paths(inputs)
        return _source(self, [_read_layout(path, self.variables) for path in paths])


def _utc(time: str | None, name: str) -> np.datetime64 | None:
    """An ISO 8601 time as datetime64[s] UTC; without an offset it is UTC."""
    if time is None:
        return None
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        raise ConfigError(f"{name}: {time!r} is not an ISO 8601 time; write for example 2024-05-01T00:00Z") from None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "s")


def _paths(inputs: Sequence[str]) -> list[Path]:
    """The files and stores among `inputs`, each once.

    Raises:
        MissingInputError: an input that is not there or holds neither.
    """
    if not inputs:
        raise MissingInputError("netcdf: no input; name NetCDF files or a zarr store with --input")
    return sorted({path.resolve(): path for text in inputs for path in _expand(text)}.values())


def _expand(text: str) -> list[Path]:
    path = Path(text)
    if path.is_file() or _is_zarr(path):
        return [path]
    entries = path.rglob("*") if path.is_dir() else map(Path, glob.iglob(text, recursive=True))  # noqa: PTH207 - may be absolute
    found = [entry for entry in entries if entry.suffix in SUFFIXES or (entry.suffix == ".zarr" and _is_zarr(entry))]
    if not found:
        what = "holds no NetCDF file or zarr store" if path.is_dir() else "no such file"
        raise MissingInputError(f"{text}: {what}; name a folder, glob, file or store")
    return found


def _is_zarr(path: Path) -> bool:
    return any((path / mark).is_file() for mark in ZARR_MARKS)


def _open(path: Path) -> xr.Dataset:
    """The dataset, nothing loaded, times not decoded.

    Raises:
        BadDataError: it cannot be opened.
    """
    import xarray as xr  # noqa: PLC0415 - slow to import

    how: dict[str, Any] = {"engine": "zarr", "consolidated": False} if _is_zarr(path) else {"engine": "netcdf4"}
    try:
        return xr.open_dataset(path, chunks=None, decode_times=False, decode_timedelta=False, **how)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BadDataError(f"{path}: not readable ({_line(error)}); fetch or write it again") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(file.stat().st_size for file in files)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A channel in one file: its name there, and what turns its units into the channel's."""

    source_name: str
    variable: Variable
    scale: float
    offset: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one file holds.

    Attributes:
        path: the file or store.
        size: in bytes.
        dims: its dimensions' names by role (`time`, `y`, `x`).
        grid: the horizontal grid.
        times: (N,) datetime64[s] UTC.
        entries: channels by name.
        statics: fields without time by name: their names in the file.
        notes: what was left out.
    """

    path: Path
    size: int
    dims: dict[str, str]
    grid: Grid
    times: Array
    entries: dict[str, Entry]
    statics: dict[str, str]
    notes: tuple[str, ...]

    def load(self, dataset: xr.Dataset, name: str, positions: slice = slice(None)) -> Array:
        """Values of `name` in the file, (N, H, W), or (H, W) without time; float64 or as decoded."""
        field = dataset[name]
        if self.dims.get("time") in field.dims:
            field = field.isel({self.dims["time"]: positions})
        order = [self.dims[role] for role in ("time", "y", "x") if self.dims.get(role) in field.dims]
        return np.asarray(field.squeeze([dim for dim in field.dims if dim not in order]).transpose(*order).values)


def _read_layout(path: Path, chosen: Mapping[str, Mapping[str, Any]] | None) -> Layout:
    with _open(path) as dataset:
        dims = _roles(path, dataset)
        time = dims.get("time")
        entries, notes = _entries(path, dataset, dims, chosen)
        grid, grid_notes = _grid(path, dataset, dims)
        return Layout(
            path=path,
            size=_size(path),
            dims=dims,
            grid=grid,
            times=_times(path, dataset, time) if time else np.array([], "datetime64[s]"),
            entries=entries,
            statics=_static_names(dataset, dims),
            notes=(*notes, *grid_notes),
        )


def _roles(path: Path, dataset: xr.Dataset) -> dict[str, str]:
    """The dimensions that are time, y and x.

    Raises:
        BadDataError: no y or no x.
    """
    roles: dict[str, str] = {}
    for dim in map(str, dataset.sizes):
        attributes = dataset[dim].attrs if dim in dataset.variables else {}
        if role := _role(dim, attributes):
            roles.setdefault(role, dim)
    for role in ("y", "x"):
        if role not in roles:
            raise BadDataError(
                f"{path}: no {role} among the dimensions {', '.join(map(str, dataset.sizes))}; "
                f"give its coordinate the attribute axis = {role.upper()!r}"
            )
    return roles


def _role(name: str, attributes: Mapping[Hashable, Any]) -> str | None:
    axis, standard_name, units = (str(attributes.get(key, "")) for key in ("axis", "standard_name", "units"))
    since = "time" if " since " in units else None
    return AXES.get(axis) or STANDARD_NAMES.get(standard_name) or UNITS.get(units) or since or NAMES.get(name.lower())


def _times(path: Path, dataset: xr.Dataset, dim: str) -> Array:
    """Times as datetime64[s] UTC.

    Raises:
        BadDataError: no units, a calendar whose dates do not exist, or an order that is not increasing.
    """
    import xarray as xr  # noqa: PLC0415

    if dim not in dataset.variables or " since " not in str(dataset[dim].attrs.get("units")):
        raise BadDataError(f"{path}: {dim} has no units like 'hours since 2024-01-01'; write them")
    calendar = dataset[dim].attrs.get("calendar", "standard")
    try:
        decoded = xr.decode_cf(dataset[[dim]])[dim].values
        if decoded.dtype == object:  # cftime: calendars other than the standard one
            decoded = np.array([time.isoformat() for time in decoded], "datetime64[ms]")
    except (ValueError, OverflowError) as error:
        raise BadDataError(
            f"{path}: {dim} in calendar {calendar!r} has no UTC times ({_line(error)}); convert it"
        ) from None
    times = (decoded.astype("datetime64[ms]") + np.timedelta64(500, "ms")).astype("datetime64[s]")
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        what = "stands twice" if steps[at - 1] == 0 else "comes after a later time"
        raise BadDataError(f"{path}: {times[at]}Z {what}; write each time once, in order")
    return np.asarray(times)


def _entries(
    path: Path, dataset: xr.Dataset, dims: Mapping[str, str], chosen: Mapping[str, Mapping[str, Any]] | None
) -> tuple[dict[str, Entry], list[str]]:
    """The channels of a file, and why others are none.

    Raises:
        BadDataError: a chosen variable that cannot be one, or no units.
    """
    by_name = {str(name).lower(): str(name) for name in dataset.data_vars}
    wanted: Mapping[str, Mapping[str, Any]] = {
        name: {} for name in by_name if "time" in _found(dataset[by_name[name]], dims)
    }
    entries, notes = {}, []
    for name, settings in (wanted if chosen is None else chosen).items():
        source_name = settings.get("source_name") or by_name.get(name)
        if source_name not in dataset.data_vars:
            continue
        if problem := _problem(dataset[source_name], dims):
            if chosen is not None:
                raise BadDataError(f"{path}: {source_name}: {problem}; choose another variable or reduce it")
            notes.append(f"{source_name}: {problem}, left out")
            continue
        entries[name] = _entry(path, name, dataset[source_name], settings)
    return entries, notes


def _found(field: xr.DataArray, dims: Mapping[str, str]) -> set[str]:
    """The roles that a field's dimensions play; empty for bounds, profiles and series."""
    roles = {role for role, dim in dims.items() if dim in field.dims}
    return roles if {"y", "x"} <= roles else set()


def _problem(field: xr.DataArray, dims: Mapping[str, str]) -> str:
    """Why a field is no channel; empty where it is."""
    if "time" not in _found(field, dims):
        return f"has the dimensions {', '.join(map(str, field.dims))}, not time, y and x"
    if field.dtype.kind not in "iuf":
        return f"holds {field.dtype}, not numbers"
    extra = [f"{dim} ({size})" for dim, size in field.sizes.items() if dim not in dims.values() and size > 1]
    return f"has a further dimension, {', '.join(extra)}" if extra else ""


def _entry(path: Path, name: str, field: xr.DataArray, settings: Mapping[str, Any]) -> Entry:
    given = {key: value for key, value in settings.items() if key != "source_name"}
    in_file, wanted = _units(field.attrs.get("units")), given.get("units")
    known = TABLE.get(name)
    table = known if known is not None and wanted in (None, known.units) else None
    source = in_file or wanted
    if not source:
        raise BadDataError(f"{path}: {field.name}: has no units; set --set variables.{name}.units=...")
    target = wanted or (table.units if table else source)
    if source != _units(target) and (source, target) not in CONVERSIONS:
        raise BadDataError(
            f"{path}: {field.name} is in {source!r}, not {target!r}; set --set variables.{name}.units={source}"
        )
    scale, offset = CONVERSIONS.get((source, target), (1.0, 0.0))
    base = table.settings() if table else _from_attributes(field, scale, offset)
    variable = parse(Variable, {**base, **given, "name": name, "units": target}, at=f"variables.{name}")
    return Entry(source_name=str(field.name), variable=variable, scale=scale, offset=offset)


def _units(units: Any) -> str:
    text = str(units or "").strip()
    return UNIT_ALIASES.get(text.lower(), text)


def _from_attributes(field: xr.DataArray, scale: float, offset: float) -> dict[str, Any]:
    """Settings of `Variable` from CF attributes; valid ranges of packed fields are in packed values."""
    attributes = field.attrs
    low, high = attributes.get("valid_range", (attributes.get("valid_min"), attributes.get("valid_max")))
    packed = [float(field.encoding.get(key, default)) for key, default in (("scale_factor", 1), ("add_offset", 0))]

    def physical(limit: Any) -> float | None:
        return None if limit is None else (float(limit) * packed[0] + packed[1]) * scale + offset

    texts = {key: str(attributes[key]) for key in ("long_name", "standard_name") if key in attributes}
    return {**texts, "valid_min": physical(low), "valid_max": physical(high)}


def _static_names(dataset: xr.Dataset, dims: Mapping[str, str]) -> dict[str, str]:
    """Fields over the grid alone, under the names of a dataset; coordinates are none."""
    names = {}
    for name, field in dataset.data_vars.items():
        standard_name = str(field.attrs.get("standard_name", ""))
        extra = [dim for dim, size in field.sizes.items() if dim not in dims.values() and size > 1]
        if (
            _found(field, dims) == {"y", "x"}
            and not extra
            and standard_name not in STANDARD_NAMES
            and field.dtype.kind in "iuf"
        ):
            own = str(name).lower()
            names[STATIC_NAMES.get(standard_name) or STATIC_NAMES.get(own, own)] = str(name)
    return names


def _grid(path: Path, dataset: xr.Dataset, dims: Mapping[str, str]) -> tuple[Grid, list[str]]:
    """The horizontal grid, and a note where its place on the Earth is unknown."""
    mapping = _mapping(path, dataset)
    geographic = mapping.get("grid_mapping_name", "latitude_longitude") == "latitude_longitude"
    axes = [dataset.variables.get(dims[role]) for role in ("y", "x")]
    y, x = (None if axis is None else np.asarray(axis.values, np.float64) for axis in axes)
    degrees = [
        _is_degrees(dims[role], axis.attrs if axis is not None else {}) for role, axis in zip("yx", axes, strict=True)
    ]
    if y is not None and x is not None and geographic and all(degrees):
        return Grid(kind="latlon", y=y, x=x, mapping=mapping), []
    if not geographic and mapping["grid_mapping_name"] != "rotated_latitude_longitude":
        metres = [
            1000.0 if axis is not None and str(axis.attrs.get("units")) in ("km", "kilometers") else 1.0
            for axis in axes
        ]
        if y is not None and x is not None:
            return Grid(kind="projected", y=y * metres[0], x=x * metres[1], mapping=mapping), []
        if (found := _from_latlon(dataset, dims, mapping)) is not None:
            return found, []
    shape = [dataset.sizes[dims[role]] for role in "yx"]
    note = "no usable latitude and longitude or projection: features of the sun and of latitude are left out"
    return Grid(kind="index", y=np.arange(float(shape[0])), x=np.arange(float(shape[1]))), [note]


def _is_degrees(name: str, attributes: Mapping[str, Any]) -> bool:
    if "standard_name" in attributes:
        return attributes["standard_name"] in ("latitude", "longitude")
    return attributes.get("units") in UNITS or name.lower() in ("lat", "latitude", "lon", "longitude")


def _mapping(path: Path, dataset: xr.Dataset) -> dict[str, Any]:
    """CF grid-mapping attributes as plain values; empty where the file names none.

    Raises:
        BadDataError: a grid mapping that is no projection.
    """
    import pyproj  # noqa: PLC0415 - slow to import

    fields = dataset.data_vars.values()
    names = [field.attrs.get("grid_mapping") or field.encoding.get("grid_mapping") for field in fields]
    name = next((str(name).split(":")[0].split()[0] for name in names if name), None)
    if name not in dataset.variables:
        return {}
    attributes = {str(k): v.tolist() if hasattr(v, "tolist") else v for k, v in dataset[name].attrs.items()}
    try:
        crs = pyproj.CRS.from_cf(attributes)
    except (pyproj.exceptions.CRSError, KeyError) as error:
        raise BadDataError(f"{path}: grid mapping {name}: {_line(error)}; mend or remove it") from None
    return attributes if "grid_mapping_name" in attributes else dict(crs.to_cf())


def _from_latlon(dataset: xr.Dataset, dims: Mapping[str, str], mapping: dict[str, Any]) -> Grid | None:
    """A projected grid from 2-D latitude and longitude; None where they are absent or no such grid."""
    import pyproj  # noqa: PLC0415

    order = (dims["y"], dims["x"])
    plane = {str(n): v for n, v in dataset.variables.items() if set(v.dims) == set(order)}
    found = {
        what: v.transpose(*order).values
        for what in ("latitude", "longitude")
        for n, v in plane.items()
        if v.attrs.get("standard_name", n.lower()) in (what, what[:3], f"x{what}", f"x{what[:4]}")
    }
    if len(found) < 2:
        return None
    crs = pyproj.CRS.from_cf(mapping)
    project = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    x, y = project.transform(found["longitude"], found["latitude"])
    off = max(np.abs(x - x.mean(0)).max(), np.abs(y - y.mean(1, keepdims=True)).max())
    if off > 0.05 * abs(x[0, 1] - x[0, 0]):  # float32 latitudes stray by some metres
        return None
    return Grid(kind="projected", y=y.mean(1), x=x.mean(0), mapping=mapping)


def _source(config: NetCDF, layouts: Sequence[Layout]) -> NetCDFSource:
    """Join the files along time.

    Raises:
        BadDataError: two grids, no variable, a time twice, irregular times, or no time with every variable.
    """
    names = list(config.variables or dict.fromkeys(name for layout in layouts for name in layout.entries))
    notes = tuple(dict.fromkeys(note for layout in layouts for note in layout.notes))
    for layout in layouts:
        if difference := layouts[0].grid.difference(layout.grid):
            raise BadDataError(f"{layout.path}: {difference}; give only files on one grid")
    if not names:
        raise BadDataError(
            f"{layouts[0].path}: no variable over time, y and x ({'; '.join(notes)}); choose by variables"
        )
    places = {name: _places(name, layouts) for name in names}
    found = config.within(np.unique(np.concatenate([list(place) for place in places.values()])))
    missing = {time: [name for name in names if time not in places[name]] for time in found}
    times = np.array([time for time in found if not missing[time]], "datetime64[s]")
    if not len(times):
        raise BadDataError(f"{layouts[0].path}: no time with {', '.join(names)} from start to end; change these")
    first = {name: next(layout.entries[name] for layout in layouts if name in layout.entries) for name in names}
    return NetCDFSource(
        layouts=tuple(layouts),
        variables=tuple(first[name].variable for name in names),
        times=times,
        step=_step(layouts[0].path, found),
        table={name: np.array([places[name][time] for time in times]) for name in names},
        notes=notes,
        quarantined={str(time): f"no {', '.join(names)}" for time, names in missing.items() if names},
    )


def _places(name: str, layouts: Sequence[Layout]) -> dict[np.datetime64, tuple[int, int]]:
    """(file, position) of a variable by time.

    Raises:
        BadDataError: in no file, or twice at one time.
    """
    places: dict[np.datetime64, tuple[int, int]] = {}
    for number, layout in enumerate(layouts):
        for position, time in enumerate(layout.times if name in layout.entries else ()):
            if time in places:
                other = layouts[places[time][0]].path
                raise BadDataError(f"{layout.path}: duplicate times, {name} at {time}Z is in {other} too; remove one")
            places[time] = (number, position)
    if not places:
        known = {other for layout in layouts for other in (*layout.entries, *layout.statics)}
        raise BadDataError(f"variables.{name}: in none of {len(layouts)} files; {suggest(name, known)}")
    return places


def _step(path: Path, times: Array) -> np.timedelta64:
    """The smallest difference, of which all are multiples; an hour where there is one time only.

    Raises:
        BadDataError: irregular times.
    """
    seconds = np.diff(times).astype(np.int64)
    step = int(seconds.min()) if len(seconds) else HOUR
    if (seconds % step).any():
        at = int(np.argmax(seconds % step != 0))
        raise BadDataError(
            f"{path}: irregular times, {seconds[at]} s after {times[at]}Z where the step is {step} s; resample"
        )
    return np.timedelta64(step, "s")


@dataclass(frozen=True, kw_only=True)
class NetCDFSource(Source):
    """Opened NetCDF files: their layouts, no handles."""

    layouts: tuple[Layout, ...]
    variables: tuple[Variable, ...]
    times: Array
    step: np.timedelta64
    table: dict[str, Array]
    notes: tuple[str, ...]
    quarantined: dict[str, str]

    @property
    def grid(self) -> Grid:
        """The grid that all files share."""
        return self.layouts[0].grid

    def describe(self) -> Description:
        """What the files hold, their static fields included."""
        return Description(
            grid=self.grid,
            variables=self.variables,
            times=self.times,
            step=self.step,
            static=_statics(self.layouts),
            inputs={str(layout.path): layout.size for layout in self.layouts},
            notes=self.notes,
            quarantined=self.quarantined,
        )

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`, read in slabs of bounded size.

        Raises:
            BadDataError: a file that cannot be read, or a time that is not there.
        """
        height, width = self.grid.shape
        slab = max(1, min(MAX_SLAB, SLAB_BYTES // (8 * height * width * len(self.variables))))
        rows = np.searchsorted(self.times, times)
        if (rows >= len(self.times)).any() or (self.times[rows] != times).any():
            raise BadDataError(f"{self.layouts[0].path}: a time asked for is not there; read times of the description")
        for part in np.split(rows, range(slab, len(rows), slab)):
            fields = {
                variable.name: self._slab(variable.name, self.table[variable.name][part]) for variable in self.variables
            }
            for index in range(len(part)):
                yield {name: values[index] for name, values in fields.items()}

    def _slab(self, name: str, places: Array) -> Array:
        """(n, H, W) float32 of one channel at rows of (file, position), one read for each unbroken run."""
        breaks = np.flatnonzero((np.diff(places[:, 0]) != 0) | (np.diff(places[:, 1]) != 1)) + 1
        return np.concatenate([self._run(name, run) for run in np.split(places, breaks) if len(run)])

    def _run(self, name: str, run: Array) -> Array:
        layout = self.layouts[run[0, 0]]
        entry = layout.entries[name]
        try:
            with _open(layout.path) as dataset:
                values = layout.load(dataset, entry.source_name, slice(int(run[0, 1]), int(run[-1, 1]) + 1))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first = layout.times[run[0, 1]]
            raise BadDataError(
                f"{layout.path}: {name} from {first}Z: {_line(error)}; fetch or write it again"
            ) from None
        if (entry.scale, entry.offset) != (1.0, 0.0):
            values = values.astype(np.float64) * entry.scale + entry.offset
        return np.asarray(values, np.float32)


def _statics(layouts: Sequence[Layout]) -> dict[str, Static]:
    """Each static field from the first file that has it."""
    statics: dict[str, Static] = {}
    for layout in layouts:
        if missing := {name: source for name, source in layout.statics.items() if name not in statics}:
            with _open(layout.path) as dataset:
                statics |= {name: _static(layout, dataset, source) for name, source in missing.items()}
    return statics


def _static(layout: Layout, dataset: xr.Dataset, source_name: str) -> Static:
    try:
        values = layout.load(dataset, source_name).astype(np.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadDataError(f"{layout.path}: {source_name}: {_line(error)}; fetch or write it again") from None
    attributes = dataset[source_name].attrs
    return Static(
        values=values,
        attributes={k: str(attributes[k]) for k in ("units", "standard_name", "long_name") if k in attributes},
    )
