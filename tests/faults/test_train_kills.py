"""A training run that is killed again and again ends as the run that was never killed."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.test_trainer import experiment, lines
from weatherml.run import checkpoint
from weatherml.run.directory import open_run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["weatherml.train.trainer", "weatherml.models", "tests.train.test_trainer"])
LONGEST_LIFE_S = 1.5


def often_saved() -> Experiment:
    """Dropout, noise and flips draw random numbers; a checkpoint after every step, with two metrics between them."""
    validation = {"every": 7, "cases": 1, "lead_steps": 1}
    small = {"base_features": 4, "depth": 1, "blocks": 1, "dropout": 0.1}
    return experiment("unet", small, steps=60, checkpoint_minutes=1e-9, validation=validation)


def go_on(data: Path, run: Path) -> None:
    """What the killed process does."""
    torch.set_num_threads(1)
    train(often_saved(), data, run, device="cpu")


def live(data: Path, run: Path, seconds: float | None) -> bool:
    """Let a process train, and kill it after so many seconds; whether it ended by itself."""
    process: Any = FORKS.Process(target=go_on, args=(data, run))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode in (0, -9)
    return bool(process.exitcode == 0)


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_ends_as_if_it_never_was(small_dataset: Path, tmp_path: Path, kills: int) -> None:
    live(small_dataset, tmp_path / "whole", None)
    rng, killed = np.random.default_rng(0), 0
    for _ in range(kills):
        killed += not live(small_dataset, tmp_path / "parts", rng.uniform(0, LONGEST_LIFE_S))
    live(small_dataset, tmp_path / "parts", None)
    assert killed >= kills / 2  # or it was tested on a run that had ended
    whole, parts = open_run(tmp_path / "whole"), open_run(tmp_path / "parts")
    assert parts.status()["state"] == "finished"
    assert lines(parts) == lines(whole)
    for name in ("step-60", "best"):
        ours, theirs = (checkpoint.load(run.checkpoints / name) for run in (parts, whole))
        assert ours.progress == theirs.progress
        for mine, its in ((ours.weights, theirs.weights), (ours.average, theirs.average)):
            assert all(torch.equal(mine[key], its[key]) for key in its)
    litter = [path.name for path in parts.checkpoints.iterdir() if path.name.startswith(".")]
    assert litter == []
