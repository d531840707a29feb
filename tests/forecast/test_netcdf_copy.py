"""A forecast as NetCDF: each chunk with its checksum, the whole with its seal."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from tests.schemas.make import sample
from weatherml.data.netcdf_seal import LENGTH, verify_seal
from weatherml.forecast.netcdf import to_netcdf

FIELDS = {"t2m", "refc"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    to_netcdf(sample("forecast.zarr"), tmp_path / "f.nc")
    return tmp_path / "f.nc"


def test_every_chunk_has_a_checksum(written: Path) -> None:
    with netCDF4.Dataset(written) as file:
        filters = {name: variable.filters() for name, variable in file.variables.items() if variable.ndim}
        chunks = {name: file[name].chunking() for name in FIELDS}
        rows, columns = (len(file.dimensions[name]) for name in file["t2m"].dimensions[-2:])
    assert {"init_time", "lead_time", "latitude", *FIELDS} <= filters.keys()
    assert all(each["fletcher32"] for each in filters.values())
    assert {name for name, each in filters.items() if each["zlib"]} == FIELDS
    assert all(each == [1, 1, rows, columns] for each in chunks.values())


def test_it_holds_what_the_store_holds(written: Path) -> None:
    with xr.open_zarr(sample("forecast.zarr")) as store, xr.open_dataset(written, engine="netcdf4") as file:
        assert file.sizes == store.sizes
        assert set(file.variables) == set(store.variables)
        for name in store.variables:
            np.testing.assert_array_equal(file[name].values, store[name].values)


def test_it_is_sealed(written: Path) -> None:
    assert verify_seal(written)
    written.write_bytes(written.read_bytes()[:-LENGTH])
    assert not verify_seal(written)
