"""What is flipped, lost or cut short of a NetCDF forecast is found before it is read as data, and named."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.data.chores import die
from tests.faults.mutations import FAULTS, spoiled
from weatherml.data.netcdf_seal import LENGTH
from weatherml.doctor.examination import examine
from weatherml.errors import BadDataError, WMLError
from weatherml.forecast.netcdf import to_netcdf
from weatherml.run.inspection import inspect
from weatherml.verify.files.forecasts import open_forecast
from weatherml.verify.files.truth import open_truth
from weatherml.verify.plot import View, read_scenes


@pytest.fixture(scope="module")
def file(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `wml rollout --output f.nc` makes, to spoil."""
    path = tmp_path_factory.mktemp("netcdf") / "f.nc"
    to_netcdf(world / "f.zarr", path)
    return path


def doctor(path: Path, *, deep: bool = False) -> None:
    for finding in examine(path, deep=deep):
        if finding.level == "problem":
            raise BadDataError(f"{finding.what}; {finding.todo}")


DEEP: Mapping[str, Callable[[Path], object]] = {
    "doctor": partial(doctor, deep=True),
    "inspect": partial(inspect, deep=True),
}
"""Who compares every byte with the seal, if there is one."""


@pytest.fixture(scope="module")
def readers(world: Path) -> Mapping[str, Callable[[Path], object]]:
    """Who is to find it: two commands, and what `wml evaluate` opens a forecast with."""
    truth = open_truth(world / "d.zarr")
    return {
        **DEEP,
        "evaluate": lambda path: open_forecast(path, truth).dataset.close(),
    }


@pytest.mark.parametrize("trials", [30, pytest.param(4000, marks=pytest.mark.slow)])
def test_every_fault_is_found_and_named(
    file: Path, readers: Mapping[str, Callable[[Path], object]], trials: int
) -> None:
    rng, missed, content = np.random.default_rng(0), [], file.stat().st_size - LENGTH
    for trial in range(trials):
        fault = FAULTS[trial % len(FAULTS)]
        with spoiled(file, fault, rng):
            if file.is_file() and file.stat().st_size == content:
                continue  # nothing but the seal was cut off: every value is there, and doctor notes that it is unsealed
            missed += [f"{name}: {fault.__name__} {trial}" for name, read in readers.items() if not names(read, file)]
    assert missed == []
    assert not any(names(read, file) for read in readers.values())


LOOKS: Mapping[str, Callable[[Path], object]] = {
    "inspect": inspect,
    "doctor": doctor,
    "plot": lambda path: read_scenes(path, View()),
}
"""Who opens a file of which not every byte was compared."""


ENDS = {"ours": None, "without a seal": -LENGTH}


@pytest.mark.parametrize(
    ("look", "end"),
    [
        *(pytest.param(LOOKS[look], ENDS[end], id=f"{look}-{end}") for look, end in product(LOOKS, ENDS)),
        *(pytest.param(DEEP[look], -LENGTH, id=f"{look} --deep-without a seal") for look in DEEP),
    ],
)
def test_what_crashes_hdf5_crashes_no_command(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object], end: int | None
) -> None:
    monkeypatch.setattr("weatherml.data.foreign._look", partial(die, signal.SIGSEGV))
    path = tmp_path / "f.nc"
    path.write_bytes(file.read_bytes()[:end])
    with pytest.raises(BadDataError, match=r"f\.nc: opening it crashed or stalled HDF5; fetch or write it again"):
        look(path)


def names(read: Callable[[Path], object], file: Path) -> bool:
    """Whether reading fails, and names the file."""
    try:
        read(file)
    except WMLError as error:
        return str(error).startswith(f"{file}: ")
    return False


def test_of_a_file_without_a_seal_the_broken_field_is_named(world: Path, tmp_path: Path) -> None:
    """Another program's, with HDF5's checksums."""
    path, truth = tmp_path / "theirs.nc", open_truth(world / "d.zarr")
    with xr.open_zarr(world / "f.zarr") as store:
        theirs = store[["t2m"]].drop_encoding().load()
    theirs.attrs, fields = {}, theirs["t2m"].values
    encoding = {"t2m": {"fletcher32": True, "chunksizes": (1, 1, *fields.shape[2:])}}
    theirs.to_netcdf(path, engine="netcdf4", encoding=encoding)
    content = bytearray(path.read_bytes())
    content[content.index(fields[0, 1].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    forecast = open_forecast(path, truth)
    initial, leads = forecast.init_times[0], forecast.lead_times
    np.testing.assert_array_equal(forecast.read(initial, leads[:1], "t2m")[0, 0], fields[0, 0])
    with pytest.raises(BadDataError, match=r"theirs\.nc: t2m at 2024-06-03T02:00:00Z \+ 2 h: .*HDF error"):
        forecast.read(initial, leads, "t2m")
    forecast.dataset.close()
