"""Forecasts and sequences are verified as datasets are: whatever is spoiled is found, and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.faults.mutations import FAULTS, spoiled
from weatherml.data.integrity import faults, require_sound
from weatherml.data.store import MARKER, verify_marker
from weatherml.errors import BadDataError

STORES = {"sequences": "data/sequences.zarr", "forecast": "forecasts/forecast.zarr"}


def verified(path: Path, kind: str) -> None:
    verify_marker(path, kind)
    require_sound(path)


@pytest.mark.parametrize("trials", [60, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", STORES)
def test_every_fault_is_found_and_named(world: Path, kind: str, trials: int) -> None:
    store = Path(STORES[kind])
    files = sorted(file for file in store.rglob("*") if file.is_file())
    rng = np.random.default_rng(0)
    for trial in range(trials):
        file, fault = files[rng.integers(len(files))], FAULTS[trial % len(FAULTS)]
        with spoiled(file, fault, rng), pytest.raises(BadDataError) as error:
            verified(store, kind)
        name = file.relative_to(store).as_posix()
        assert name.partition("/c")[0] in str(error.value) or name == MARKER  # which may name another file than it did
    verified(store, kind)


def test_a_lost_lead_is_named_by_variable_and_time(world: Path) -> None:
    store = Path(STORES["forecast"])
    (store / "t2m/c/1/0/0/0").unlink()
    for read in (False, True):
        (fault,) = faults(store, read=read)
        assert str(fault).startswith(
            "t2m at 2024-06-02T05:00:00Z + 1 h: forecasts/forecast.zarr/t2m/c/1/0/0/0: missing"
        )
