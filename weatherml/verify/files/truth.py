"""The truth: a dataset store, read as any xarray user reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.config import parse
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.variables import TABLE, Variable
from weatherml.verify.files.names import standard
from weatherml.verify.files.reading import load, open_file, read_grid, require_files

Array = npt.NDArray[Any]
Frames = dict[str, Array]
"""Fields by variable: (N, H, W) float32 in physical units, NaN where missing."""


@dataclass(frozen=True)
class Truth:
    """A dataset to score against. `open_truth` makes it.

    Attributes:
        path: where it lies.
        dataset: the opened store.
        grid: the horizontal grid.
        variables: the channels by name, in the order stored.
        times: (N,) datetime64[s], strictly increasing.
    """

    path: Path
    dataset: xr.Dataset
    grid: Grid
    variables: dict[str, Variable]
    times: Array

    @property
    def title(self) -> str:
        """What the dataset calls itself."""
        return str(self.dataset.attrs.get("title") or self.path.stem)

    @property
    def step_seconds(self) -> int:
        """The time step; of a store that does not say, the smallest difference of its times."""
        steps = np.diff(self.times).astype(int)
        return int(self.dataset.attrs.get("time_step_seconds", steps.min() if len(steps) else 3600))

    @property
    def land(self) -> Array | None:
        """The land mask (H, W), 1 on land, if there is one."""
        mask = self.dataset.get("land_binary_mask")
        return None if mask is None else np.asarray(mask.values, float)

    def training_times(self) -> Array:
        """The times of the training split.

        Raises:
            BadDataError: the store does not say which they are.
        """
        try:
            first, last = (np.datetime64(end.removesuffix("Z"), "s") for end in self.dataset.attrs["splits"]["train"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadDataError(f"{self.path}: no training split; take another baseline than climatology") from None
        return self.times[(self.times >= first) & (self.times <= last)]

    def has(self, times: Array) -> Array:
        """Whether each time is in the store, as bool."""
        return np.isin(times, self.times)

    def read(self, times: Array, names: list[str]) -> Frames:
        """The fields of some variables at times that are all in the store.

        Raises:
            BadDataError: a chunk is corrupt or lost; the message names the variable and its time.
        """
        indices = np.searchsorted(self.times, times)
        for name in names:
            for index in indices.tolist():
                require_files(self.dataset[name], {"time": [index]}, str(self.times[index]), self.path)
        return {name: load(self.dataset[name].isel(time=indices), "time", list(times), self.path) for name in names}


class RollingFrames:
    """The truth's fields at the times of one case after another: each is read once while cases overlap."""

    def __init__(self, truth: Truth, names: list[str]) -> None:
        self.truth = truth
        self.names = names
        self.frames: dict[Any, dict[str, Array]] = {}

    def read(self, times: Array) -> Frames:
        """Fields at `times`, which the truth has, and which do not begin before those of the last call."""
        self.frames = {time: frame for time, frame in self.frames.items() if time >= times.min()}
        new = np.array([time for time in times if time not in self.frames], dtype=times.dtype)
        if len(new):
            fields = self.truth.read(new, self.names)
            self.frames |= {time: {name: fields[name][i] for name in self.names} for i, time in enumerate(new)}
        return {name: np.stack([self.frames[time][name] for time in times]) for name in self.names}


def open_truth(path: Path) -> Truth:
    """Open a dataset store.

    Raises:
        MissingInputError: nothing there.
        BadDataError: not a store of fields in time.
    """
    dataset = standard(open_file(path))
    if "time" not in dataset.coords or dataset.sizes.get("time", 0) == 0:
        raise BadDataError(f"{path}: holds no times, so it is no dataset; give the store that `wml prepare` wrote")
    grid = read_grid(dataset, path)
    dataset = dataset.transpose("time", *grid.dims, ..., missing_dims="ignore")
    variables = _variables(dataset, grid)
    times = dataset["time"].values.astype("datetime64[s]")
    if not np.all(np.diff(times).astype(int) > 0):
        raise BadDataError(f"{path}: time: not strictly increasing; prepare the dataset again")
    return Truth(path=path, dataset=dataset, grid=grid, variables=variables, times=times)


def _variables(dataset: xr.Dataset, grid: Grid) -> dict[str, Variable]:
    fields = [str(name) for name, array in dataset.items() if array.dims == ("time", *grid.dims)]
    names = [name for name in dataset.attrs.get("variables", fields) if name in fields]
    return {name: read_variable(dataset, name) for name in names}


def read_variable(dataset: xr.Dataset, name: str) -> Variable:
    """What is known of an array: from the store's own table, or ours where the units are the same."""
    table = dataset.attrs.get("variable_table", {})
    if name in table:
        return parse(Variable, table[name], at=f"variable_table.{name}")
    units = str(dataset[name].attrs.get("units", "1"))
    return TABLE[name] if name in TABLE and TABLE[name].units == units else Variable(name=name, units=units)
