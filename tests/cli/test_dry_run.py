"""`wml prepare --dry-run`: what it will take, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import refused, wml


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_tells_hours_bytes_and_time(small_netcdf: Path, tmp_path: Path) -> None:
    command = ("prepare", "netcdf", "--input", small_netcdf, "--end", "2024-06-04T02:00Z", "--dry-run")
    code, out, err = wml(*command)
    assert code == 0, err
    assert "times: 72, 2024-06-01T00:00:00Z to 2024-06-03T23:00:00Z" in out
    assert "out of reach: 3: 2024-06-04T00:00:00Z, 2024-06-04T01:00:00Z, 2024-06-04T02:00:00Z" in out
    assert "missing: 0" in out
    code, out, err = wml(*command, "--json")
    found = json.loads(out)
    assert (found["times"], found["fits"], len(found["out_of_reach"])) == (72, True, 3)
    assert found["fetch_bytes"] == small_netcdf.stat().st_size
    assert list(tmp_path.iterdir()) == []


def test_real_hours(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "hrrr_smrf_rme"
    code, out, err = wml("prepare", "hrrr", "--input", folder, "--dry-run", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["times"], found["missing"]) == (24, [])
    assert 0 < found["store_bytes"] < 24 * 6 * 41 * 78 * 2 + 10 * 41 * 78 * 4  # raw channels and fixed fields
    assert list(tmp_path.iterdir()) == []


def test_options_that_do_not_fit(small_netcdf: Path) -> None:
    refused(2, "--json: only with --dry-run", "prepare", "netcdf", "--input", small_netcdf, "--json")
    refused(66, "no such file", "prepare", "hrrr", "--input", "nowhere/*.grib2", "--dry-run")
    refused(2, "--dry-run: ", "prepare", "climatebench", "--input", small_netcdf, "--dry-run")
