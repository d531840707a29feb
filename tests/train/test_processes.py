"""Several processes train together as one would: the same batches, the same loss curve, one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.test_trainer import lines
from weatherml.errors import ConfigError
from weatherml.run import checkpoint
from weatherml.run.directory import open_run
from weatherml.run.experiment import TrainConfig
from weatherml.train.processes import Processes, build_fabric, started

SETTINGS = {
    "model.kind": "unet",
    "model.base_features": 8,
    "model.depth": 1,
    "model.blocks": 1,
    "data.flips": "true",
    "train.precision": "32-true",
    "train.warmup": 2,
    "train.lr": 0.003,
    "train.horizon": 2,
    "train.validation": "{every: 4, cases: 2, lead_steps: 2}",
}


def train(processes: int, data: Path, run: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in as many processes."""
    chosen = [part for key, value in (SETTINGS | settings).items() for part in ("--set", f"{key}={value}")]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python", "--"]
    wml = str(Path(sys.executable).with_name("wml"))
    command = [*([sys.executable, *launcher] if processes > 1 else []), wml, "train", "--data", str(data)]
    command += ["--run", str(run), "--device", "cpu", "--steps", "8", *chosen]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


def curve(run: Path) -> list[float]:
    return [line["loss"] for line in lines(open_run(run)) if "loss" in line]


def skills(run: Path) -> list[float]:
    return [line["skill"] for line in lines(open_run(run)) if "skill" in line]


@pytest.fixture(scope="module")
def alone(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, four microbatches of two cases a step."""
    run = tmp_path_factory.mktemp("alone") / "run"
    done = train(1, small_dataset, run, **{"train.batch": 2, "train.accumulate": 4})
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_two_processes_learn_what_one_does(alone: Path, small_dataset: Path, tmp_path: Path, strategy: str) -> None:
    """Each takes two of the four microbatches; weights, average and loss agree, and one of them wrote."""
    run = tmp_path / "run"
    split = {"train.batch": 2, "train.accumulate": 4, "train.strategy": strategy}
    done = train(2, small_dataset, run, **split)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run: ") == 1
    assert "on 2 x cpu" in done.stderr
    assert curve(run) == pytest.approx(curve(alone), rel=1e-4)
    assert skills(run) == pytest.approx(skills(alone), rel=1e-3)
    ours, theirs = (checkpoint.load(path / "checkpoints" / "step-8") for path in (run, alone))
    for mine, its in ((ours.weights, theirs.weights), (ours.average, theirs.average)):
        assert mine.keys() == its.keys()
        apart = sum((mine[key] - its[key]).square().sum() for key in its) / sum(
            each.square().sum() for each in its.values()
        )
        assert apart**0.5 < 0.01  # single weights whose gradient is rounding alone differ: Adam divides small by small


@pytest.mark.slow
def test_processes_that_do_not_divide_the_batch_are_refused_in_one_line(small_dataset: Path, tmp_path: Path) -> None:
    done = train(2, small_dataset, tmp_path / "run", **{"train.batch": 1, "train.accumulate": 3})
    assert done.returncode != 0
    assert "error: 2 processes: do not divide a step of train.batch * train.accumulate = 1 * 3 cases" in done.stderr


def test_shards_need_several_processes() -> None:
    with pytest.raises(ConfigError, match=r"train\.strategy: fsdp shards over processes; start several"):
        build_fabric(TrainConfig(strategy="fsdp"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("environment", "processes"),
    [
        ({}, Processes()),
        (
            {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5"},
            Processes(size=8, local=4, rank=5),
        ),
        (
            {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_PROCID": "2"},
            Processes(size=6, local=2, rank=2),
        ),
        ({"SLURM_NTASKS": "6", "SLURM_NNODES": "3"}, Processes()),  # the script of a job, outside srun
    ],
)
def test_who_started_the_processes_says_how_many(environment: dict[str, str], processes: Processes) -> None:
    assert started(environment) == processes
