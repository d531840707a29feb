"""Outputs of every stage, small ones, to be looked at and spoiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.schemas.make import HERE, sample

PLACES = {"data": "dataset.zarr", "runs": "run", "forecasts": "forecast.zarr"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a dataset, a run and a forecast of it in their places."""
    monkeypatch.chdir(tmp_path)
    for folder, name in PLACES.items():
        shutil.copytree(sample(name), tmp_path / folder / name)
    shutil.copytree(HERE / "v1" / "sequences.zarr", tmp_path / "data" / "sequences.zarr")
    return tmp_path
