"""Whatever is flipped, deleted or cut short in a store is found, and named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.preparing import run
from tests.faults.mutations import FAULTS, spoiled
from weatherml.data.integrity import verify
from weatherml.data.reader import WindowReader
from weatherml.data.store import MARKER, Dataset, open_dataset
from weatherml.errors import BadDataError

OVER_TIME = {"t2m", "refc", "summary/moments", "summary/values", "summary/activity"}
SHARD = 24


@pytest.fixture
def store(tmp_path: Path, write_netcdf: Any) -> Path:
    """Two days and two hours of two variables: one to spoil."""
    path = write_netcdf(tmp_path / "a.nc", hours=50, shape=(12, 10))
    return run(path, tmp_path / "a.zarr", variables={"t2m": {}, "refc": {}}).path


@pytest.mark.parametrize("trials", [90, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_fault_is_found_and_named(store: Path, trials: int) -> None:
    whole = verify(store)
    files = sorted(file for file in store.rglob("*") if file.is_file())
    rng, missed = np.random.default_rng(0), []
    for trial in range(trials):
        file, fault = files[rng.integers(len(files))], FAULTS[trial % len(FAULTS)]
        with spoiled(file, fault, rng):
            if not named(store, file.relative_to(store), whole):
                missed.append(f"{fault.__name__} {file.relative_to(store)}")
    assert missed == []
    verify(store)


def named(store: Path, file: Path, whole: Dataset) -> bool:
    """Whether reading everything finds the fault in `file` and says where it is."""
    array, _, chunk = file.as_posix().removesuffix("/c").partition("/c/")
    if chunk and array in whole.names and not found_by_training(store, array, whole):
        return False
    try:
        verify(store)
    except BadDataError as error:
        return names(str(error), array, int(chunk.split("/")[0]) if array in OVER_TIME and chunk else None, whole)
    return False


def found_by_training(store: Path, variable: str, whole: Dataset) -> bool:
    """Whether what trains finds it too, by its own way to read."""
    try:
        WindowReader(open_dataset(store).select([variable]), cache_bytes=0).window(0, len(whole.times))
    except BadDataError as error:
        return str(error).startswith(f"{variable} at 2024-06-0")
    return False


def names(message: str, array: str, shard: int | None, whole: Dataset) -> bool:
    """Whether a message names the array, and a time of its shard where it has any."""
    if shard is None:
        return array in message or array == MARKER  # which may name another file, or kind, than it did
    found = re.match(rf"{array} at (\S+)Z: ", message)
    return found is not None and np.datetime64(found[1]) in whole.times[shard * SHARD : (shard + 1) * SHARD]
