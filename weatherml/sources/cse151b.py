"""The climate data of UCSD's CSE 151B competition: one zarr store over scenario, month and member."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, PositiveInt

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources.base import SOURCES
from weatherml.sources.cf import is_cf, is_input, opened
from weatherml.sources.climate import Archive, ClimateConfig, Course, gathered
from weatherml.sources.climate.calendar import read_months
from weatherml.sources.climate.files import globe
from weatherml.sources.climate.variables import FORCINGS
from weatherml.sources.inputs import input_paths

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]
FIRST = np.datetime64("2015-01", "M")
UNITS = {"tas": "K", "pr": "mm day-1", "rsdt": "W m-2"}
"""Where the store does not say."""


@SOURCES.register("cse151b")
class CSE151B(ClimateConfig):
    """The competition's store with its split; latitude and longitude are y and x, position by position.

    Attributes:
        members: of the targets; each is a series of its own.
    """

    train: tuple[str, ...] = ("ssp126", "ssp370", "ssp585")
    validation: dict[str, PositiveInt] = Field(default={"ssp370": 120})
    test: dict[str, PositiveInt] = Field(default={"ssp245": 360})
    members: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)

    def read(self, inputs: Sequence[str]) -> Archive:
        """All scenarios and members that are asked for."""
        path, *others = input_paths(inputs, is_cf, what="zarr", whole=is_input)
        if others:
            raise BadDataError(f"{others[0]}: a second store beside {path}; give one")
        with opened(path) as dataset:
            series = {f"{ssp}/{member}": (ssp, member) for ssp in self.scenarios for member in self.members}
            courses = {
                name: _Store(path, dataset, ssp, member).courses(self.targets) for name, (ssp, member) in series.items()
            }
        steps = len(next(iter(courses.values()))[self.targets[0]].months)
        parts = {name: self.part(ssp, steps) for name, (ssp, _) in series.items()}
        return gathered(courses, parts, self.targets, [path])


class _Store:
    """One scenario and member of an opened store.

    Raises:
        BadDataError: no such scenario.
    """

    def __init__(self, path: Path, dataset: xr.Dataset, ssp: str, member: int) -> None:
        names = [str(name) for name in dataset["ssp"].values]
        if ssp not in names:
            raise BadDataError(f"{path}: no scenario {ssp}; {suggest(ssp, names)}")
        self.path, self.ssp, self.member = path, names.index(ssp), member
        self.dataset = dataset
        self.months = _months(path, dataset)
        self.grid = _grid(path, dataset)

    def courses(self, targets: Sequence[str]) -> dict[str, Course]:
        """Forcings that the store has, then the targets."""
        return {name: self.course(name) for name in (*_forcings(self.dataset), *targets)}

    def course(self, name: str) -> Course:
        """A variable, of this member where it has several.

        Raises:
            BadDataError: no such variable or member.
        """
        names = {str(each).lower(): str(each) for each in self.dataset.data_vars}
        if name not in names:
            raise BadDataError(f"{self.path}: no variable {name}; {suggest(name, names)}")
        field = self.dataset[names[name]].isel(ssp=self.ssp)
        if "member_id" in field.dims:
            if self.member >= field.sizes["member_id"]:
                count = field.sizes["member_id"]
                raise BadDataError(f"{self.path}: {count} members, no number {self.member}; set members")
            field = field.isel(member_id=self.member)
        maps = field.ndim == 3
        order = ("time", *(dim for dim in ("latitude", "y", "longitude", "x") if dim in field.dims))
        return Course(
            months=self.months,
            values=np.asarray(field.transpose(*order).values, np.float32),
            units=str(field.attrs.get("units") or UNITS.get(name, "")),
            grid=self.grid if maps else None,
        )


def _forcings(dataset: xr.Dataset) -> list[str]:
    held = {str(name).lower() for name in dataset.data_vars}
    return [name for name in FORCINGS if name in held]


def _months(path: Path, dataset: xr.Dataset) -> Array:
    """Those of the store; without dates they count from January 2015."""
    if "time" in dataset.variables and " since " in str(dataset["time"].attrs.get("units")):
        return read_months(path, dataset, "time")
    return FIRST + np.arange(dataset.sizes["time"])


def _grid(path: Path, dataset: xr.Dataset) -> Grid:
    """That of y and x.

    Raises:
        BadDataError: latitude or longitude is another axis, and not the same with small differences.
    """
    y, x = (np.asarray(dataset[name].values, np.float64) for name in ("y", "x"))
    for name, axis in (("latitude", y), ("longitude", x)):
        if name not in dataset.sizes:
            continue
        other = np.asarray(dataset[name].values, np.float64)
        if len(other) != len(axis) or np.abs(other - axis).max() > np.abs(np.diff(axis)).min() / 2:
            raise BadDataError(f"{path}: {name} and {'yx'[name == 'longitude']} are not the same axis; mend the store")
    return globe(y, x)
