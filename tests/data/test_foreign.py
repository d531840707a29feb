"""A NetCDF file is compared with its seal, or opened in a process of its own, before this one opens it."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.data.chores import die
from weatherml.data.foreign import require_opens
from weatherml.data.netcdf_seal import seal
from weatherml.errors import BadDataError

CRASHED = "opening it crashed or stalled HDF5; fetch or write it again"


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weatherml.data.foreign._look", partial(die, signal.SIGSEGV))


def test_a_file_that_crashes_hdf5_is_named_and_others_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none.nc").write_bytes(b"no NetCDF")
    require_opens(tmp_path / "none.nc")  # what it is instead, its reader says
    (tmp_path / "none.nc").write_bytes(b"no NetCDF either")
    monkeypatch.setattr("weatherml.data.foreign._look", partial(die, signal.SIGSEGV))
    with pytest.raises(BadDataError, match=rf"none\.nc: {CRASHED}"):
        require_opens(tmp_path / "none.nc")


@pytest.mark.usefixtures("crashing")
def test_one_that_was_compared_with_its_seal_is_not_opened_apart(tmp_path: Path) -> None:
    path = tmp_path / "sealed.nc"
    path.write_bytes(b"of whatever kind")
    seal(path, "forecast")
    with pytest.raises(BadDataError, match=CRASHED):
        require_opens(path)
    assert require_opens(path, whole=True)
    assert not require_opens(path)


@pytest.mark.usefixtures("crashing")
def test_one_without_a_seal_is_opened_apart_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "none.nc").write_bytes(b"no NetCDF")
    with pytest.raises(BadDataError, match=CRASHED):
        require_opens(tmp_path / "none.nc", whole=True)


def test_one_that_was_opened_is_compared_when_it_is_read_whole(tmp_path: Path) -> None:
    """A disk that flips a bit changes neither time nor size."""
    path = tmp_path / "sealed.nc"
    path.write_bytes(b"of whatever kind")
    seal(path, "forecast")
    require_opens(path)
    written = path.stat().st_mtime_ns
    path.write_bytes(b"or" + path.read_bytes()[2:])
    os.utime(path, ns=(written, written))
    with pytest.raises(BadDataError, match="changed or cut short"):
        require_opens(path, whole=True)
