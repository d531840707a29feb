"""Perturbed initial states: mean zero, the amplitude asked for, a function of the member; other data refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from weatherml.config import parse
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import BadDataError, MissingInputError
from weatherml.forecast.ensemble import EnsembleConfig, ensemble, ensemble_rows
from weatherml.forecast.perturbation import require_alike
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train

STEP_STD = 0.1
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def other_order(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The generative run: its channels in another order, and three states of history."""
    names = ["refc", "tracer", "v10", "u10", "t2m"]
    settings = {"model": {"kind": "persistence"}, "loss": "l1", "data": {"variables": names, "history": 3}}
    return train(parse(Experiment, settings), small_dataset, tmp_path_factory.mktemp("runs") / "other", device="cpu")


def start(run: Run, generative: Run, dataset: Dataset, rows: list[int], **settings: Any) -> torch.Tensor:
    """(B, C, H, W) physical initial states of some rows."""
    config = parse(EnsembleConfig, {"perturb": generative.path, **settings})
    made = ensemble_rows(run, dataset, config, init=["2024-06-03T10", "2024-06-03T12"], steps=1, device=CPU)
    return made.start(rows).history[:, -1]


@pytest.mark.usefixtures("walk")
def test_perturbations_have_mean_zero_and_the_amplitude(learned: Run, other_order: Run, small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    members = 40
    bare = start(learned, other_order, dataset, [0], members=members, amplitude=0.0)
    states = start(learned, other_order, dataset, list(range(members)), members=members, amplitude=2.0)
    for name in ("t2m", "u10", "v10"):
        channel = dataset.names.index(name)
        change = (states - bare)[:, channel].double() / dataset.statistics.std[channel]
        # (s - s') / sqrt(2) of a walk has the walk's own spread; n = 40 x 480 points
        n = members * 480
        assert abs(float(change.mean())) < 4 * 2 * STEP_STD / n**0.5
        assert float(change.std()) == pytest.approx(2 * STEP_STD, rel=4 / (2 * n) ** 0.5)
    np.testing.assert_allclose(bare[0, 0], xr.open_zarr(small_dataset).t2m.sel(time="2024-06-03T10").values, rtol=1e-6)


@pytest.mark.usefixtures("walk")
def test_perturbed_states_are_bounded_and_a_function_of_the_member(
    learned: Run, other_order: Run, small_dataset: Path
) -> None:
    dataset = open_dataset(small_dataset)
    states = start(learned, other_order, dataset, [0, 1, 2, 3, 4, 5], members=3, amplitude=50.0)
    assert torch.equal(start(learned, other_order, dataset, [4, 1], members=3, amplitude=50.0), states[[4, 1]])
    # member 1 of the second time is the same in an ensemble of more
    assert torch.equal(start(learned, other_order, dataset, [8], members=7, amplitude=50.0), states[[4]])
    refc = states[:, dataset.names.index("refc")]
    assert (float(refc.min()), float(refc.max())) == (-10.0, 90.0)


@pytest.mark.usefixtures("walk")
def test_any_run_becomes_an_ensemble(learned: Run, persistence: Run, small_dataset: Path, tmp_path: Path) -> None:
    config = parse(EnsembleConfig, {"members": 4, "perturb": persistence.path, "batch": 3, "products": ["spread"]})
    options: dict[str, Any] = {"init": ["last"], "steps": 2, "device": "cpu"}
    made = ensemble(learned.path, small_dataset, config, output=tmp_path / "e.zarr", **options)
    with xr.open_zarr(made.path) as forecast:
        assert forecast.attrs["model"] == "unet-residual"
        assert forecast.attrs["ensemble"]["perturb"] == str(persistence.path)
        assert float(forecast.t2m_spread.min()) > 0
        ranges = {"refc": (-10, 90), "u10": (-100, 100)}
        for name, (low, high) in ranges.items():
            assert low <= float(forecast[name].min()) <= float(forecast[name].max()) <= high


@pytest.mark.usefixtures("walk")
def test_the_history_one_step_before_must_be_there(
    learned: Run, other_order: Run, small_dataset: Path, tmp_path: Path
) -> None:
    config = parse(EnsembleConfig, {"members": 2, "perturb": other_order.path})
    with pytest.raises(MissingInputError, match="has no 4 state"):  # three before the initial time, and itself
        ensemble(
            learned.path,
            small_dataset,
            config,
            init=["2024-06-01T02"],
            steps=1,
            output=tmp_path / "e.zarr",
            device="cpu",
        )


def test_runs_of_other_data_are_refused(learned: Run, persistence: Run) -> None:
    def changed(**lineage: Any) -> Run:
        return replace(persistence, lineage=replace(persistence.lineage, **lineage))

    require_alike(persistence, learned)
    for run, words in (
        (changed(shape=(64, 64)), r"shape is \(64, 64\), that of .* is \(24, 20\)"),
        (changed(grid="another"), "grid is another"),
        (changed(step_seconds=600), "step_seconds is 600"),
        (changed(variables=persistence.lineage.variables[1:]), "channels refc, .* has refc, t2m"),
    ):
        with pytest.raises(BadDataError, match=words):
            require_alike(run, learned)
