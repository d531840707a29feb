"""A finished forecast as one NetCDF-4 file."""

from __future__ import annotations

from pathlib import Path

from weatherml.files import remove, writing

ROW = ("init_time", "member")


def to_netcdf(store: Path, path: Path) -> None:
    """Copy a finished zarr forecast to NetCDF-4, compressed, one initial time and member at a time."""
    import xarray as xr  # noqa: PLC0415 - slow to import

    remove(path)
    with xr.open_zarr(str(store), chunks={}, mask_and_scale=False, decode_times=False) as dataset:
        plain = dataset.drop_encoding().chunk({dim: 1 for dim in ROW if dim in dataset.dims})
        encoding = {
            name: {"zlib": True, "complevel": 1, "chunksizes": (1,) * (array.ndim - 2) + array.shape[-2:]}
            for name, array in plain.data_vars.items()
            if "lead_time" in array.dims
        } | {name: {"_FillValue": None} for name in plain.coords}  # CF: a coordinate is never missing
        plain.attrs = {
            key: value if isinstance(value, str | int | float) else repr(value) for key, value in plain.attrs.items()
        }
        with writing(path):
            plain.to_netcdf(path, engine="netcdf4", encoding=encoding)
