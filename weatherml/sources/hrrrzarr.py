"""The University of Utah's archive of HRRR in zarr: one array a variable and run, in chunks of 150 x 150 points.

Only the chunks that the region touches are fetched. Chunk 0.0 is the south-west corner, as is row 0 of HRRR's grid.
See https://mesowest.utah.edu/html/hrrr/ and Gowan et al. 2022, doi:10.1175/JTECH-D-21-0106.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.sources.base import (
    HOUR,
    SOURCES,
    Array,
    Description,
    Frame,
    Source,
    SourceConfig,
    Static,
    regular_step,
    utc,
)
from weatherml.sources.known import GROUND_ATTRIBUTES, known_variable
from weatherml.sources.remote import in_threads
from weatherml.sources.world.terrain import FULL_SHAPE, hrrr_crop
from weatherml.sources.zarr2 import METADATA, MOST_METADATA, Archive, Box, open_archive, read_fields
from weatherml.variables import Variable

BUCKET = "s3://hrrrzarr"
LONGEST_LEAD = 48
STEP = np.timedelta64(HOUR, "s")

PATHS = {
    "refc": "entire_atmosphere/REFC",
    "t2m": "2m_above_ground/TMP",
    "d2m": "2m_above_ground/DPT",
    "u10": "10m_above_ground/UGRD",
    "v10": "10m_above_ground/VGRD",
    "cape": "surface/CAPE",
    "cin": "surface/CIN",
}
STATIC_PATHS = {"orography": "surface/HGT", "land_binary_mask": "surface/LAND"}
PROJECTION = "grid/projparams.json"
PROJECTION_SETTINGS = {"proj": "lcc", "lat_0": 38.5, "lat_1": 38.5, "lat_2": 38.5, "a": 6371229.0, "b": 6371229.0}
CENTRAL_LONGITUDE = -97.5


class HRRRZarrVariable(Variable):
    """A `Variable` and where to find it.

    Attributes:
        path: level and parameter under the archive's names, `surface/GUST`.
    """

    path: str = Field(pattern=r"^[A-Za-z0-9_]+/[A-Za-z0-9_]+$")


@SOURCES.register("hrrrzarr")
class HRRRZarr(SourceConfig):
    """HRRR from `s3://hrrrzarr`, from `--input` another URL, or from a folder with the same keys.

    `variables` maps names to settings of `Variable` with `path`. The seven channels of HRRR are known by name, so
    that `{refc: {}, t2m: {}}` is a subset; anything else needs `units` and `path`, for example
    `{gust: {path: surface/GUST, units: m s-1}}`. `start` and `end` are needed: nobody lists so large a bucket.

    Attributes:
        lead: hours of forecast from which the state at a time is taken; 0 takes the analysis.
        budget_seconds: how long an answer of a bucket is tried for.
    """

    lead: NonNegativeInt = Field(0, le=LONGEST_LEAD)
    budget_seconds: PositiveFloat = 120.0

    @model_validator(mode="after")
    def _usable(self) -> HRRRZarr:
        self.selection()
        for key in ("start", "end"):
            if getattr(self, key) is None:
                raise ConfigError(
                    f"{key}: not set; hrrrzarr needs start and end, for example --{key} 2024-05-01T00:00Z"
                )
        return self

    def selection(self) -> tuple[HRRRZarrVariable, ...]:
        """The wanted variables, in order.

        Raises:
            ConfigError: an unknown setting, or a name with neither a path nor a table entry.
        """
        wanted: dict[str, dict[str, Any]] = self.variables or {name: {} for name in PATHS}
        known = {name: {"path": path} for name, path in PATHS.items()}
        return tuple(known_variable(HRRRZarrVariable, name, each, known, key="path") for name, each in wanted.items())

    def times(self) -> Array:
        """(N,) datetime64[s], the full hours from `start` to `end` that are wanted.

        Raises:
            ConfigError: none.
        """
        first, last = utc(str(self.start), "start"), utc(str(self.end), "end")
        hours = np.arange(first.astype("datetime64[h]"), last.astype("datetime64[h]") + 1).astype("datetime64[s]")
        times = self.within(hours)
        if not len(times):
            raise ConfigError(f"start, end, months, hours_of_day: leave no hour from {first}Z to {last}Z; widen them")
        return times

    def build(self, inputs: Sequence[str]) -> HRRRZarrSource:
        """Ask which hours are there.

        Raises:
            MissingInputError: no such folder or bucket.
            UsageError: more than one input.
            BadDataError: another grid, or no hour.
            TemporaryError: a bucket that does not answer.
        """
        archive = open_archive(inputs, default=BUCKET, budget_seconds=self.budget_seconds)
        _check_projection(archive)
        times = self.times()
        source = HRRRZarrSource(
            archive=archive,
            variables=self.selection(),
            lead=self.lead,
            times=times,
            step=regular_step(times, "start to end"),
            box=Box(slice(0, FULL_SHAPE[0]), slice(0, FULL_SHAPE[1])),
        )
        return source.present()


def _check_projection(archive: Archive) -> None:
    """Refuse an archive that says it has another projection than HRRR's; one that says nothing is taken.

    Raises:
        BadDataError: it does.
    """
    content = archive.get(PROJECTION, most=MOST_METADATA)
    if content is None:
        return
    try:
        found = json.loads(content)
        same = all(found[key] == value for key, value in PROJECTION_SETTINGS.items())
        same &= (float(found["lon_0"]) - CENTRAL_LONGITUDE) % 360 == 0
    except (ValueError, KeyError, TypeError, RecursionError):
        same = False
    if not same:
        raise BadDataError(f"{archive.at(PROJECTION)}: not HRRR's projection; name an archive of HRRR over CONUS")


@dataclass(frozen=True, kw_only=True)
class HRRRZarrSource(Source):
    """Some hours of the archive.

    Attributes:
        archive: where the arrays lie.
        variables: the channels with their paths.
        lead: hours of forecast.
        times: (N,) datetime64[s] at which states are valid.
        step: between the times asked for.
        box: the rows and columns that are read.
        inputs: the metadata that told which hours are there, with their sizes.
    """

    isolated: ClassVar[bool] = True

    archive: Archive
    variables: tuple[HRRRZarrVariable, ...]
    lead: int
    times: Array
    step: np.timedelta64
    box: Box
    inputs: tuple[tuple[str, int], ...] = ()

    def present(self) -> HRRRZarrSource:
        """The hours that the archive has the first variable of; others are missing.

        Raises:
            BadDataError: there is none.
        """
        keys = [f"{self.folder(time, self.variables[0].path)}/{METADATA}" for time in self.times]
        found = list(in_threads(partial(self.archive.get, most=MOST_METADATA), keys))
        inputs = [(self.archive.at(key), len(each)) for key, each in zip(keys, found, strict=True) if each is not None]
        if not inputs:
            raise BadDataError(
                f"{self.archive.at(keys[0])}: not there, nor is any of {len(keys)} hours; check start, end"
            )
        there = np.array([each is not None for each in found])
        return replace(self, times=self.times[there], inputs=tuple(inputs))

    def folder(self, time: np.datetime64, path: str) -> str:
        """The key of the array of the variable at `path` that holds the state at `time`."""
        run = (time - self.lead * STEP).astype("datetime64[h]").item()
        level, parameter = path.split("/")
        kind = "fcst" if self.lead else "anl"
        return f"sfc/{run:%Y%m%d}/{run:%Y%m%d_%H}z_{kind}.zarr/{level}/{parameter}/{level}/{parameter}"

    def horizontal_grid(self) -> Grid:
        """HRRR's, of which the box is a part; nothing is fetched for it."""
        whole = hrrr_crop(*FULL_SHAPE)
        y, x = (np.round(axis, 3) for axis in (whole.y, whole.x))  # as from GRIB: a run on one data set fits the other
        return Grid(kind="projected", y=y, x=x, mapping=whole.mapping).crop(self.box.rows, self.box.columns)

    def describe(self) -> Description:
        """What is there; the first call fetches the static fields."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        static = self._statics()
        return Description(
            grid=self.horizontal_grid(),
            variables=tuple(variable.channel for variable in self.variables),
            times=self.times,
            step=self.step,
            static=static,
            inputs=dict(self.inputs),
            notes=tuple(f"{name}: cannot be read, left out" for name in STATIC_PATHS if name not in static),
            attributes={"source": "HRRR-Zarr", "institution": "NOAA; University of Utah", "wind_orientation": "grid"},
        )

    def _statics(self) -> dict[str, Static]:
        """The static fields that the first hour has."""
        fields: Frame = {}
        for name, path in STATIC_PATHS.items():
            with suppress(BadDataError):
                fields |= self._fields(self.times[0], {name: path})
        return {name: Static(values=values, attributes=GROUND_ATTRIBUTES[name]) for name, values in fields.items()}

    def narrowed(self, time: np.datetime64) -> HRRRZarrSource:
        """This one time."""
        return replace(self, times=np.array([time]), inputs=())

    def cut(self, rows: slice, columns: slice) -> HRRRZarrSource:
        """The same archive, read only in the chunks that hold these rows and columns."""
        return replace(self, box=Box(rows, columns))

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`; the chunks of all variables of a time are fetched together.

        Raises:
            BadDataError: an array or a chunk that is absent or damaged.
            TemporaryError: a bucket that does not answer.
        """
        paths = {variable.name: variable.path for variable in self.variables}
        for time in times:
            yield self._fields(time, paths)

    def _fields(self, time: np.datetime64, paths: Mapping[str, str]) -> Frame:
        folders = {name: self.folder(time, path) for name, path in paths.items()}
        first_forecast = 1  # forecasts begin with their first hour
        return read_fields(self.archive, folders, self.box, shape=FULL_SHAPE, index=max(self.lead - first_forecast, 0))
