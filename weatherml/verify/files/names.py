"""Files of others under our names: dimensions and variables by their usual names, or by what CF says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.errors import BadDataError
from weatherml.grid import Grid

Array = npt.NDArray[Any]

DIMENSIONS = {
    "init_time": ("initial_time", "initialization_time", "forecast_reference_time", "reference_time", "init"),
    "lead_time": ("prediction_timedelta", "forecast_period", "leadtime", "forecast_hour", "lead", "step"),
    "member": ("number", "realization", "ensemble_member", "ensemble", "ens"),
    "time": ("valid_time",),
    "latitude": ("lat",),
    "longitude": ("lon",),
    "y": ("projection_y_coordinate", "south_north"),
    "x": ("projection_x_coordinate", "west_east"),
}
"""Names in use: WeatherBench's, cfgrib's, WRF's, and the standard names of CF."""

VARIABLES = {
    "refc": ("composite_reflectivity",),
    "t2m": ("2m_temperature", "2t", "tmp_2m"),
    "d2m": ("2m_dewpoint_temperature", "2d", "dpt_2m"),
    "u10": ("10m_u_component_of_wind", "10u", "ugrd_10m"),
    "v10": ("10m_v_component_of_wind", "10v", "vgrd_10m"),
    "cape": ("convective_available_potential_energy",),
    "cin": ("convective_inhibition",),
    "pr": ("total_precipitation_rate", "precipitation_flux"),
}


def standard(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with our names of dimensions and variables, as far as it has others for them.

    `time` beside lead times is the initial time; beside one reference time, which has no dimension, it is the
    valid time of the forecast that starts there.
    """
    dataset = dataset.rename(_ours(dataset, DIMENSIONS, 1) | _ours(dataset, VARIABLES, len(dataset.sizes)))
    if "lead_time" in dataset.dims and "init_time" not in dataset.variables and _axis(dataset, "time", 1):
        dataset = dataset.rename(time="init_time")
    if "init_time" in dataset.variables and "init_time" not in dataset.dims:
        dataset = _one_start(dataset)
    return dataset


def _ours(dataset: xr.Dataset, table: dict[str, tuple[str, ...]], most: int) -> dict[str, str]:
    """From their names to ours: of dimensions, and of arrays with at most `most` dimensions."""
    present = [str(name) for name in (*dataset.dims, *dataset.variables)]
    return {
        name: ours
        for ours, theirs in table.items()
        if ours not in present
        for name in [each for each in present if _is(dataset, each, (ours, *theirs)) and _axis(dataset, each, most)][:1]
    }


def _is(dataset: xr.Dataset, name: str, names: tuple[str, ...]) -> bool:
    said = dataset[name].attrs.get("standard_name") if name in dataset.coords else None
    return name.lower() in names or said in names


def _axis(dataset: xr.Dataset, name: str, most: int) -> bool:
    """Whether it has no more dimensions; two-dimensional latitudes and valid times are no axes."""
    return name in dataset.dims or (name in dataset.variables and dataset[name].ndim <= most)


def _one_start(dataset: xr.Dataset) -> xr.Dataset:
    """A forecast from one initial time with its dimension, and lead times in place of valid ones."""
    if "time" in dataset.dims and "lead_time" not in dataset.dims:
        leads = dataset["time"].values.astype("datetime64[s]") - dataset["init_time"].values.astype("datetime64[s]")
        dataset = dataset.rename(time="lead_time").assign_coords(lead_time=leads / np.timedelta64(1, "h"))
        dataset["lead_time"].attrs = {"units": "hours"}
    return dataset.expand_dims("init_time")


def oriented(dataset: xr.Dataset, grid: Grid, path: Path) -> xr.Dataset:
    """The dataset with rows and columns in the order of `grid`: from south to north, longitudes from its first on.

    Raises:
        BadDataError: coordinates that are no numbers.
    """
    for dim, ours in zip(grid.dims, (grid.y, grid.x), strict=True):
        if dim not in dataset.coords or dataset.sizes[dim] != len(ours) or len(ours) < 2:
            continue
        theirs = dataset[dim].values
        if theirs.dtype.kind not in "iuf":
            raise BadDataError(f"{path}: {dim}: coordinates are {theirs.dtype}, no numbers; write them as numbers")
        if dim == "longitude":
            around = ours[0] + np.mod(theirs - ours[0] + 1e-6, 360) - 1e-6
            dataset = dataset.assign_coords(longitude=("longitude", around, dataset[dim].attrs)).sortby("longitude")
        elif (theirs[1] - theirs[0]) * (ours[1] - ours[0]) < 0:
            dataset = dataset.isel({dim: slice(None, None, -1)})
    return dataset
