"""Normalised fields go to physical units of a step where a logarithm lies between, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import Fields, WriteNetCDF
from weatherml.config import parse_member
from weatherml.data.physical import physical_units, step_change
from weatherml.data.prepare import prepare
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.sources import SOURCES

VARIABLES = {
    "tracer": {"transform": "log1p"},
    "u10": {"transform": "signed_log1p"},
    "v10": {"transform": "sqrt"},
    "refc": {},  # clipped
}


def alternate(fields: Fields) -> None:
    """A tracer is 3 and 7 in turn, but for a point that is not always known and one that leaps by 40; v10 is steady."""
    fields["tracer"][:] = 3.0
    fields["tracer"][1::2] = 7.0
    fields["tracer"][::3, 0, 0] = np.nan
    fields["tracer"][1::2, 1, 1] = 43.0
    fields["v10"][:] = 1.0


@pytest.fixture(name="dataset", scope="module")
def _dataset(write_netcdf: WriteNetCDF, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("physical")
    path = write_netcdf(folder / "world.nc", hours=48, shape=(8, 10), change=alternate)
    source = parse_member(SOURCES, {"kind": "netcdf", "variables": VARIABLES}, at="source")
    return open_dataset(prepare(source, [str(path)], folder / "data.zarr").path)


def test_the_size_of_a_change(dataset: Dataset) -> None:
    # of 80 points one changes by 40, one is not always known and 78 change by 4
    steps = step_change(dataset, "tracer")
    assert (78 * 16 + 1600) / 80 <= steps**2 <= (78 * 16 + 1600) / 79


def test_what_never_changes_has_no_units(dataset: Dataset) -> None:
    assert step_change(dataset, "v10") == np.inf
    narrowed = dataset.select(["v10", "tracer"])
    normaliser = Normaliser(narrowed.variables, narrowed.packings, narrowed.statistics)
    states = normaliser.normalise(torch.full((2, 1, 2, 8, 10), 5.0))
    assert physical_units(narrowed, normaliser)(states)[..., 0, :, :].eq(0).all()


def test_logarithms_become_physical_in_units_of_a_step(dataset: Dataset) -> None:
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    units, names = physical_units(dataset, normaliser), dataset.names
    physical = torch.full((2, 1, len(names), 8, 10), 5.0)
    found = units(normaliser.normalise(physical))
    for c, name in enumerate(names):
        expected = 5 / step_change(dataset, name) if name in ("tracer", "u10") else 0.0
        assert found[:, :, c].numpy() == pytest.approx(expected, rel=1e-4), name


def test_far_beyond_training_it_stays_finite_and_does_not_pull(dataset: Dataset) -> None:
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    states = torch.full((1, 1, len(dataset.names), 8, 10), 1e4, requires_grad=True)
    score = physical_units(dataset, normaliser)(states).sum()
    score.backward()
    assert score.isfinite()
    assert states.grad is not None
    assert states.grad.eq(0).all()
