"""Fields of a benchmark as CF files that `wml prepare netcdf` and `wml evaluate` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.sources.world.terrain import MAPPING

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]


def cf_dataset(
    fields: Array, variables: Mapping[str, Attributes], axes: Mapping[str, tuple[Array, Attributes]], *, spacing: float
) -> xr.Dataset:
    """Fields (..., C, H, W) on a projected grid of `spacing` metres.

    Args:
        fields: physical values.
        variables: the C names and their attributes (`units`, `valid_min`, ...).
        axes: names, coordinates and attributes of the leading dimensions.
        spacing: metres from one cell to the next.
    """
    y, x = (spacing * (np.arange(size) - size / 2) for size in fields.shape[-2:])
    dims = (*axes, "y", "x")
    data: dict[str, Any] = {
        name: (dims, fields[..., c, :, :], {**attributes, "grid_mapping": "projection"})
        for c, (name, attributes) in enumerate(variables.items())
    }
    data["projection"] = ((), np.array(0), MAPPING)
    coordinates: dict[str, Any] = {name: ((name,), values, attributes) for name, (values, attributes) in axes.items()}
    coordinates["y"] = ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"})
    coordinates["x"] = ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"})
    return xr.Dataset(data, coordinates)


def members(forecast: xr.Dataset, names: Sequence[str], case: int) -> Array:
    """(L, M, C, H, W) float32 of one initial time of a forecast with the dimension `member`."""
    case_fields = forecast.isel(init_time=case)
    each = [case_fields[name].transpose("lead_time", "member", "y", "x").values for name in names]
    return np.stack(each, axis=2).astype(np.float32)
