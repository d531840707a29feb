"""The seal behind a NetCDF file: every byte counts, and nobody who reads the file stumbles over it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from weatherml.data.netcdf_seal import LENGTH, Kind, seal, sealed_as, verify_seal
from weatherml.errors import BadDataError


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file that another program wrote."""
    path = tmp_path / "a.nc"
    xr.Dataset({"t2m": ("x", np.arange(12.0))}, attrs={"title": "twelve"}).to_netcdf(path, engine="netcdf4")
    return path


@pytest.fixture
def sealed(plain: Path) -> Path:
    seal(plain, "forecast")
    return plain


@pytest.mark.parametrize(("kind", "word"), [("forecast", "forecast   "), ("predictions", "predictions")])
def test_the_seal_is_the_digest_of_what_stands_before_it(plain: Path, kind: Kind, word: str) -> None:
    before = plain.read_bytes()
    seal(plain, kind)
    line = f"\n{word} SHA-256 of all bytes before this line: {hashlib.sha256(before).hexdigest()}\n"
    assert plain.read_bytes() == before + line.encode()
    assert len(line) == LENGTH
    assert verify_seal(plain)
    assert sealed_as(plain) == kind


def test_others_read_what_is_sealed(sealed: Path) -> None:
    with netCDF4.Dataset(sealed) as file:
        assert file.title == "twelve"
        assert file["t2m"][:].tolist() == list(range(12))
    with xr.open_dataset(sealed, engine="netcdf4") as dataset:
        assert dataset["t2m"].values.tolist() == list(range(12))
    if shutil.which("ncdump"):
        told = subprocess.run(["ncdump", sealed], check=True, capture_output=True, text=True)
        assert 'title = "twelve"' in told.stdout


def test_what_others_wrote_carries_no_seal(plain: Path, tmp_path: Path) -> None:
    assert sealed_as(plain) is None
    assert not verify_seal(plain)
    with xr.open_dataset(plain) as dataset:
        dataset.to_netcdf(tmp_path / "classic.nc", format="NETCDF3_CLASSIC")
    assert not verify_seal(tmp_path / "classic.nc")
    assert not verify_seal(tmp_path)
    (tmp_path / "empty.nc").touch()
    assert not verify_seal(tmp_path / "empty.nc")


def test_what_others_change_or_copy_carries_none_any_more(sealed: Path, tmp_path: Path) -> None:
    with xr.open_dataset(sealed) as dataset:
        dataset.to_netcdf(tmp_path / "copy.nc")
    assert not verify_seal(tmp_path / "copy.nc")
    with netCDF4.Dataset(sealed, "a") as file:
        file.history = "ncatted"
        file["t2m"][3] = 4
    assert not verify_seal(sealed)
    with netCDF4.Dataset(sealed) as file:
        assert (file.history, float(file["t2m"][3])) == ("ncatted", 4)


def test_every_bit_of_the_seal_counts_and_every_cut(sealed: Path) -> None:
    whole = sealed.read_bytes()
    end = len(whole) - LENGTH
    flipped = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in (*range(40), *range(end, len(whole)))]
    cut = [whole[:at] for at in (*range(100, end, 200), *range(end + 1, len(whole)))]
    assert sealed_as(sealed) == "forecast"
    for content in (*flipped, *cut, whole[:50] + whole[51:]):
        sealed.write_bytes(content)
        with pytest.raises(BadDataError, match=r"a\.nc: changed or cut short since it was written; restore it"):
            verify_seal(sealed)
    sealed.write_bytes(whole[:end])
    assert not verify_seal(sealed)  # all of the content is there, and nobody vouches for it
