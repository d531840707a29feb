"""Runs to forecast with: a small network, and persistence made generative by the tests themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from weatherml.config import parse
from weatherml.fields import Batch, Fields, Noise
from weatherml.models.persistence import Persistence, PersistenceModel
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train

STEP_STD = 0.1
"""Of the random walk, in units of each variable's standard deviation."""


@pytest.fixture(scope="session")
def persistence(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "persistence"
    return train(parse(Experiment, {"model": {"kind": "persistence"}, "loss": "l1"}), small_dataset, path, device="cpu")


@pytest.fixture(scope="session")
def learned(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {
        "model": {"kind": "unet-residual", "base_features": 8, "depth": 1, "blocks": 1},
        "loss": "mse",
        "train": {"steps": 5, "batch": 2, "precision": "32-true"},
    }
    return train(parse(Experiment, settings), small_dataset, tmp_path_factory.mktemp("runs") / "learned", device="cpu")


@pytest.fixture
def walk(persistence: Run, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make persistence a random walk of steps `STEP_STD`; returns the rows of every call, as they come.

    It computes point by point, so that its members are equal to the last bit in any company.
    """
    calls: list[int] = []

    def step(self: PersistenceModel, batch: Batch, noise: Noise | None = None) -> Fields:
        assert noise is not None
        calls.append(len(batch.history))
        last = self(batch)
        return last + STEP_STD * noise(last.shape)

    monkeypatch.setattr(Persistence, "generative", True)
    monkeypatch.setattr(PersistenceModel, "step", step)
    return calls
