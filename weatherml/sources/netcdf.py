"""Any CF NetCDF files or zarr stores over (time, y, x) or (time, latitude, longitude), under any names.

Dimensions are recognised by their coordinates' attributes, then by usual names. Files may follow each
other in time or hold different variables; what is read is where every variable is present.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import model_validator

from weatherml.config import parse
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources import cf
from weatherml.sources.base import SOURCES, Array, Description, Frame, Source, SourceConfig, Static, regular_step
from weatherml.sources.inputs import input_paths
from weatherml.variables import Variable

if TYPE_CHECKING:
    import xarray as xr

SLAB_BYTES, MAX_SLAB = 1 << 28, 64
STATIC_ATTRIBUTES = ("units", "standard_name", "long_name")


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

    isolated: ClassVar[bool] = True

    @model_validator(mode="after")
    def _variables_are_known(self) -> NetCDF:
        for name, settings in (self.variables or {}).items():
            parse(NetCDFVariable, {"units": "1", **settings, "name": name}, at=f"variables.{name}")
        return self

    def build(self, inputs: Sequence[str]) -> NetCDFSource:
        """Read the coordinates and attributes of all files, and join them along time.

        Raises:
            MissingInputError: no file or store.
            BadDataError: a broken file, two grids, no variable or one asked for that is absent, a time twice,
                irregular times, or no time with every variable.
        """
        paths = input_paths(inputs, cf.is_cf, what="NetCDF or zarr", whole=cf.is_input)
        layouts = tuple(cf.read_layout(path, self.variables) for path in paths)
        _check_grids(layouts)
        names = _names(self, layouts)
        places = {name: _places(name, layouts) for name in names}
        found = self.within(np.unique(np.concatenate([list(place) for place in places.values()])))
        missing = {time: [name for name in names if time not in places[name]] for time in found}
        times = np.array([time for time in found if not missing[time]], "datetime64[s]")
        if not len(times):
            wanted = ", ".join(names)
            raise BadDataError(f"{', '.join(inputs)}: no time from start to end has {wanted}; widen, or drop some")
        return NetCDFSource(
            layouts=layouts,
            names=tuple(names),
            times=times,
            step=regular_step(found, ", ".join(inputs)),
            table=np.array([[places[name][time] for name in names] for time in times]),
            quarantined={f"{time}Z": f"no {', '.join(names)}" for time, names in missing.items() if names},
        )


def _check_grids(layouts: Sequence[cf.Layout]) -> None:
    for layout in layouts:
        if difference := layouts[0].grid.difference(layout.grid):
            raise BadDataError(f"{layout.path}: {difference}; give only files on one grid")


def _names(config: NetCDF, layouts: Sequence[cf.Layout]) -> list[str]:
    """The variables asked for, else all that are found.

    Raises:
        BadDataError: none is found.
    """
    names = list(config.variables or dict.fromkeys(name for layout in layouts for name in layout.channels))
    if not names:
        notes = "; ".join(_notes(layouts)) or "none has these dimensions"
        raise BadDataError(f"{layouts[0].path}: no variable over time, y and x ({notes}); choose by variables")
    return names


def _notes(layouts: Sequence[cf.Layout]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for layout in layouts for note in layout.notes))


def _places(name: str, layouts: Sequence[cf.Layout]) -> dict[np.datetime64, tuple[int, int]]:
    """(file, position) of a variable by time.

    Raises:
        BadDataError: in no file, or twice at one time.
    """
    places: dict[np.datetime64, tuple[int, int]] = {}
    for number, layout in enumerate(layouts):
        for position, time in enumerate(layout.times if name in layout.channels else ()):
            if time in places:
                other = layouts[places[time][0]].path
                raise BadDataError(f"{layout.path}: duplicate times, {name} at {time}Z is in {other} too; remove one")
            places[time] = (number, position)
    if not places:
        known = {other for layout in layouts for other in layout.names}
        raise BadDataError(f"variables.{name}: in none of {len(layouts)} files; {suggest(name, known)}")
    return places


@dataclass(frozen=True, kw_only=True)
class NetCDFSource(Source):
    """NetCDF files: what they hold, no handles.

    Attributes:
        layouts: the files; `table` counts them.
        names: of the channels, in order.
        times: (N,) datetime64[s] at which all channels are present.
        step: the regular time step.
        table: (N, C, 2) file and position in it of each channel at each time.
        quarantined: times that lack a channel, with the reason.
    """

    isolated: ClassVar[bool] = True
    in_slabs: ClassVar[bool] = True

    layouts: tuple[cf.Layout, ...]
    names: tuple[str, ...]
    times: Array
    step: np.timedelta64
    table: Array
    quarantined: dict[str, str]

    @property
    def grid(self) -> Grid:
        """The grid that all files share."""
        return self.layouts[0].grid

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The channels, each as the first file that has it says."""
        first = [next(layout for layout in self.layouts if name in layout.channels) for name in self.names]
        return tuple(layout.channels[name].variable for name, layout in zip(self.names, first, strict=True))

    def describe(self) -> Description:
        """What the files hold, their static fields included."""
        return Description(
            grid=self.grid,
            variables=self.variables,
            times=self.times,
            step=self.step,
            static=_statics(self.layouts),
            inputs={str(layout.path): layout.size for layout in self.layouts},
            notes=_notes(self.layouts),
            quarantined=self.quarantined,
        )

    def narrowed(self, time: np.datetime64) -> NetCDFSource:
        """This one time, and the files that hold it."""
        table = self.table[self._rows(np.array([time]))]
        used, table[..., 0] = np.unique(table[..., 0], return_inverse=True)
        return replace(
            self, layouts=tuple(self.layouts[n] for n in used), times=np.array([time]), table=table, quarantined={}
        )

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`, read in slabs of bounded size.

        Raises:
            BadDataError: a file that cannot be read, or a time that is not there.
        """
        height, width = self.grid.shape
        slab = max(1, min(MAX_SLAB, SLAB_BYTES // (8 * height * width * len(self.names))))
        rows = self._rows(times)
        for part in np.split(rows, range(slab, len(rows), slab)):
            yield from self._slab(part)

    def _rows(self, times: Array) -> Array:
        rows = np.searchsorted(self.times, times)
        if (rows >= len(self.times)).any() or (self.times[rows] != times).any():
            raise BadDataError(f"{self.layouts[0].path}: a time asked for is not there; read times of the description")
        return rows

    def _slab(self, rows: Array) -> Iterator[Frame]:
        """The frames of some rows; where one cannot be read, those before it are still given."""
        try:
            fields = self._fields(rows)
        except BadDataError:
            if len(rows) == 1:
                raise
            for row in rows:
                yield from self._slab(np.array([row]))
            return
        for index in range(len(rows)):
            yield {name: values[index] for name, values in fields.items()}

    def _fields(self, rows: Array) -> Frame:
        """(n, H, W) float32 of each channel; every file is opened once."""
        fields = {name: np.empty((len(rows), *self.grid.shape), np.float32) for name in self.names}
        places = self.table[rows]
        for file in np.unique(places[..., 0]):
            layout = self.layouts[file]
            with cf.opened(layout.path) as dataset:
                for channel, name in enumerate(self.names):
                    here = places[:, channel, 0] == file
                    if here.any():
                        fields[name][here] = layout.read(dataset, name, places[here, channel, 1])
        return fields


def _statics(layouts: Sequence[cf.Layout]) -> dict[str, Static]:
    """Each static field from the first file that has it."""
    statics: dict[str, Static] = {}
    for layout in layouts:
        if missing := {name: source for name, source in layout.statics.items() if name not in statics}:
            with cf.opened(layout.path) as dataset:
                statics |= {name: _static(layout, dataset, source) for name, source in missing.items()}
    return statics


def _static(layout: cf.Layout, dataset: xr.Dataset, source_name: str) -> Static:
    attributes = dataset[source_name].attrs
    return Static(
        values=layout.load(dataset, source_name).astype(np.float32),
        attributes={key: str(attributes[key]) for key in STATIC_ATTRIBUTES if key in attributes},
    )
