"""Forecast files: ours and anyone's, under the usual names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.errors import BadDataError
from weatherml.verify.files.names import oriented, standard
from weatherml.verify.files.reading import (
    grid_difference,
    grid_dims,
    lead_hours,
    load,
    open_file,
    plain_units,
    require_files,
)
from weatherml.verify.files.truth import Truth

Array = npt.NDArray[Any]
MEAN = "_mean"  # what `wml ensemble` appends to a variable's name


@dataclass(frozen=True)
class ForecastFile:
    """A file of forecasts on the truth's grid. `open_forecast` makes it.

    Attributes:
        path: where it lies.
        dataset: the opened file.
        dims: the names of the grid's dimensions.
        init_times: (I,) datetime64[s].
        lead_times: (L,) timedelta64[s].
        arrays: by variable of the truth, and in its order, the name of the array that forecasts it.
    """

    path: Path
    dataset: xr.Dataset
    dims: tuple[str, str]
    init_times: Array
    lead_times: Array
    arrays: dict[str, str]

    @property
    def variables(self) -> list[str]:
        """Names that the truth has too, in the truth's order."""
        return list(self.arrays)

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem

    @property
    def members(self) -> int:
        """M; 1 of a deterministic forecast, or of an ensemble of which only the mean is there."""
        return int(self.dataset.sizes.get("member", 1))

    def available(self, init_times: Array) -> Array:
        """Whether it starts at each of `init_times`, as bool; asked where it serves as a baseline."""
        return np.isin(init_times, self.init_times)

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """(L, M, H, W) float32 of one variable and initial time.

        Raises:
            BadDataError: a chunk is corrupt or lost; the message names the variable and its time.
        """
        leads = [int(np.flatnonzero(self.lead_times == lead)[0]) for lead in lead_times]
        case = int(np.flatnonzero(self.init_times == init_time)[0])
        labels = [f"{init_time}Z + {lead / np.timedelta64(1, 'h'):g} h" for lead in lead_times]
        whole = self.dataset[self.arrays[name]]
        for lead, label in zip(leads, labels, strict=True):
            require_files(whole, {"init_time": [case], "lead_time": [lead]}, label, self.path)
        array = whole.isel(init_time=case, lead_time=leads)
        members = ("member",) if "member" in array.dims else ()
        values = load(array.transpose("lead_time", *members, *self.dims), "lead_time", labels, self.path)
        return values if members else values[:, None]


def open_forecast(path: Path, truth: Truth) -> ForecastFile:
    """Open a forecast and hold it against the truth's grid, variables and units.

    Raises:
        MissingInputError: nothing there.
        BadDataError: changed since it was written, not a forecast, another grid, no common variable, or other units.
    """
    dataset = oriented(standard(open_file(path, whole=True)), truth.grid, path)
    for dim in ("init_time", "lead_time"):
        if dim not in dataset.dims or dim not in dataset.coords:
            raise BadDataError(
                f"{path}: no dimension {dim} with values among {', '.join(map(str, dataset.sizes))}; "
                "a forecast has (init_time, lead_time, ...)"
            )
    difference = grid_difference(truth.grid, dataset, path)
    if difference:
        raise BadDataError(f"{path}: {difference} in {truth.path}; regrid the forecast to the truth's grid")
    leads = dataset["lead_time"]
    hours = lead_hours(leads.values, leads.attrs.get("units"))
    return ForecastFile(
        path=path,
        dataset=dataset,
        dims=grid_dims(dataset, path),
        init_times=_unique(dataset["init_time"].values.astype("datetime64[s]"), path, "init_time"),
        lead_times=_unique(np.round(hours * 3600).astype("timedelta64[s]"), path, "lead_time"),
        arrays=_arrays(dataset, truth, path),
    )


def open_forecasts(paths: Sequence[Path], truth: Truth) -> list[ForecastFile]:
    """Open several forecasts, whose names must differ.

    Raises:
        BadDataError: as `open_forecast`, or two have one name.
    """
    forecasts = [open_forecast(path, truth) for path in paths]
    names = [forecast.name for forecast in forecasts]
    for forecast in forecasts:
        if names.count(forecast.name) > 1:
            raise BadDataError(f"{forecast.path}: two forecasts have the name {forecast.name!r}; rename one file")
    return forecasts


def _unique(values: Array, path: Path, name: str) -> Array:
    if len(np.unique(values)) != len(values):
        raise BadDataError(f"{path}: {name}: values repeat; keep one of each")
    return values


def _arrays(dataset: xr.Dataset, truth: Truth, path: Path) -> dict[str, str]:
    """The array of each variable: the one of its name, or else its ensemble mean; other products are not asked for."""
    choices = {name: (name, f"{name}{MEAN}") for name in truth.variables}
    found = {name: [array for array in both if array in dataset.data_vars] for name, both in choices.items()}
    arrays = {name: some[0] for name, some in found.items() if some}
    if not arrays:
        theirs = ", ".join(map(str, dataset.data_vars))
        raise BadDataError(f"{path}: variables {theirs}, none of the truth's {', '.join(truth.variables)}; rename them")
    for name, array in arrays.items():
        units, wanted = dataset[array].attrs.get("units"), truth.variables[name].units
        if units is not None and plain_units(str(units)) != plain_units(wanted):
            raise BadDataError(f"{path}: {array}: units {units}, the truth has {wanted}; convert the forecast")
    return arrays
