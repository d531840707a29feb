"""Predictions on disk: read back as written, by us and by xarray; whole or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from weatherml.data.netcdf_seal import LENGTH
from weatherml.data.sequences.predictions import Predictions, is_predictions, open_predictions, write_predictions
from weatherml.errors import BadDataError, MissingInputError
from weatherml.grid import Grid
from weatherml.tasks import Task
from weatherml.variables import Variable

START = np.datetime64("2020-01-01", "s")


def made(task: Task = "emulate") -> Predictions:
    times = np.broadcast_to(START + np.arange(3) * np.timedelta64(1, "D"), (2, 3)).copy()
    times[1, 2] = np.datetime64("NaT")
    values = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    values[1, 2] = np.nan
    return Predictions(
        task=task,
        grid=Grid(kind="latlon", y=np.linspace(-60, 60, 4), x=np.arange(5) * 72.0),
        series=("ssp126", "ssp585"),
        times=times,
        targets=(Variable(name="tas", long_name="temperature", units="K"),),
        values={"tas": values},
        attributes={"run": "unet"},
    )


@pytest.mark.parametrize("task", ["emulate", "classify", "segment"])
def test_predictions_are_read_back(task: Task, tmp_path: Path) -> None:
    ours = made(task)
    write_predictions(tmp_path / "p.nc", ours)
    found = open_predictions(tmp_path / "p.nc")
    assert (found.task, found.series, found.grid.digest) == (task, ours.series, ours.grid.digest)
    assert found.attributes == {"run": "unet"}
    np.testing.assert_array_equal(found.times, ours.times)
    np.testing.assert_array_equal(found.values["tas"], ours.values["tas"])
    assert is_predictions(tmp_path / "p.nc")


def test_xarray_sees_units_times_and_coordinates(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.nc", made())
    write_predictions(tmp_path / "q.nc", made("segment"))
    with xr.open_dataset(tmp_path / "p.nc") as found, xr.open_dataset(tmp_path / "q.nc") as masks:
        assert found["tas"].dims == ("series", "step", "latitude", "longitude")
        assert found["tas"].attrs["units"] == "K"
        assert found["time"].values[0, 1] == np.datetime64("2020-01-02")
        assert np.isnat(found["time"].values[1, 2])
        assert masks["tas_probability"].attrs["units"] == "1"


def test_damage_and_strangers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.nc"
    with pytest.raises(MissingInputError, match="no such predictions"):
        open_predictions(path)
    path.write_bytes(b"not netcdf")
    with pytest.raises(BadDataError, match="cannot be opened"):
        open_predictions(path)
    assert not is_predictions(path)
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(BadDataError, match="holds no predictions"):
        open_predictions(tmp_path / "other.nc")


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "p.nc"
    write_predictions(path, made())
    raw = path.read_bytes()
    for byte in np.random.default_rng(0).integers(len(raw), size=50):
        path.write_bytes(raw[:byte] + bytes([raw[byte] ^ 1]) + raw[byte + 1 :])
        with pytest.raises(BadDataError, match=r"p\.nc: changed or cut short since it was written"):
            open_predictions(path)
    middle = raw.find(b"\x78\x01") + 100  # from the head of the deflated values
    path.write_bytes(raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 : -LENGTH])  # the seal is lost too
    with pytest.raises(BadDataError, match="cannot be read"):
        open_predictions(path)
