"""A finished forecast as one NetCDF-4 file, in which every changed bit is found.

HDF5's Fletcher-32 sum stands with every chunk, so that all who read the file notice changed values. It covers no
headers, attributes or scalars: those, and all else, the seal behind the file covers, see `weatherml.data.netcdf_seal`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weatherml.data.netcdf_seal import seal
from weatherml.files import remove, writing

ROW = ("init_time", "member")


def to_netcdf(store: Path, path: Path) -> None:
    """Copy a finished zarr forecast to NetCDF-4, compressed, one initial time and member at a time."""
    import xarray as xr  # noqa: PLC0415 - slow to import

    remove(path)
    with xr.open_zarr(str(store), chunks={}, mask_and_scale=False, decode_times=False) as dataset:
        plain = dataset.drop_encoding().chunk({dim: 1 for dim in ROW if dim in dataset.dims})
        encoding = {name: _encoding(array, coordinate=name in plain.coords) for name, array in plain.variables.items()}
        plain.attrs = {
            key: value if isinstance(value, str | int | float) else repr(value) for key, value in plain.attrs.items()
        }
        with writing(path):
            plain.to_netcdf(path, engine="netcdf4", encoding=encoding)
            seal(path, "forecast")


def _encoding(array: Any, *, coordinate: bool) -> dict[str, Any]:
    """How a variable lies in the file: a checksum with every chunk; fields compressed, a chunk each."""
    if coordinate:
        return {"fletcher32": True, "_FillValue": None}  # CF: a coordinate is never missing
    if "lead_time" not in array.dims:
        return {"fletcher32": True}
    chunk = (1,) * (array.ndim - 2) + array.shape[-2:]
    return {"fletcher32": True, "zlib": True, "complevel": 1, "chunksizes": chunk}
