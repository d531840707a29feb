"""A CUDA GPU computes what the CPU computes, in the memory that was planned, and says so when that is not enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from cli.main import app
from weatherml.config import parse
from weatherml.data.known import KnownFields
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.store import open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import UnavailableError
from weatherml.fields import Batch
from weatherml.forecast import roller
from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.rollout import rollout
from weatherml.run import noise
from weatherml.run.directory import Run, open_run
from weatherml.run.experiment import Experiment
from weatherml.train.objective import build_loss, follow
from weatherml.train.trainer import train

pytestmark = [  # a mark skips before the runs are trained, a fixture would after
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU"),
]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
LARGE = {
    "model": {"kind": "unet-residual", "base_features": 32, "depth": 2, "blocks": 1},
    "train": {"steps": 3, "batch": 1, "precision": "bf16-mixed"},
}


def loader(data: Path, device: torch.device) -> Loader:
    dataset = open_dataset(data)
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics).to(device)
    config = DataConfig(flips=True, noise=0.05)
    return Loader(dataset, "train", config, normaliser=normaliser, known=KnownFields(dataset, device), batch=2, seed=3)


def test_batches_are_those_of_the_cpu_and_lie_on_the_gpu(small_dataset: Path) -> None:
    theirs, ours = (loader(small_dataset, device).load(5) for device in (CPU, GPU))
    for name, tensor in vars(ours).items():
        assert tensor.device.type == "cuda", name
        torch.testing.assert_close(tensor.cpu(), getattr(theirs, name), rtol=1e-4, atol=1e-4)


def gradients(run: Run, data: Path, batch: Batch, device: torch.device) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a training step."""
    model: Any = run.load_model().to(device).train()
    dataset = open_dataset(data)
    loss = build_loss(run.experiment, dataset, run.normaliser(dataset.packings).to(device)).to(device)
    here = batch.map(lambda tensor: tensor.to(device))
    value = follow(model, here, loss, horizon=1, lead=1, bounded=lambda states: states)
    value.backward()
    return value.item(), {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}


def test_a_training_step_is_the_cpus(learned: Run, small_dataset: Path) -> None:
    batch = loader(small_dataset, CPU).load(0)
    (theirs, expected), (ours, found) = (gradients(learned, small_dataset, batch, device) for device in (CPU, GPU))
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert found.keys() == expected.keys()
    norm = torch.stack([each.norm() for each in expected.values()]).norm()
    for name, each in expected.items():
        assert (found[name] - each).norm() < 1e-3 * norm, name


def close(path: Path, reference: Path) -> None:
    """Assert that two forecasts agree to a hundredth of each variable's standard deviation."""
    ours, theirs = (xr.open_dataset(each, engine="zarr", decode_timedelta=False) for each in (path, reference))
    for name in ("t2m", "u10", "v10", "refc"):
        difference = np.sqrt(np.square(ours[name].to_numpy() - theirs[name].to_numpy()).mean())
        assert difference < 0.01 * theirs[name].to_numpy().std(), name


def test_a_rollout_is_the_cpus(
    learned: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roller, "natively_bf16", lambda device: False)
    made = {
        device: rollout(learned.path, small_dataset, steps=6, output=tmp_path / f"{device}.zarr", device=device)
        for device in ("cpu", "cuda")
    }
    close(made["cuda"].path, made["cpu"].path)


def test_an_ensemble_is_the_cpus_where_the_noise_is(
    generative: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal: Callable[..., torch.Tensor] = noise.normal
    monkeypatch.setattr(noise, "normal", lambda key, shape, device: normal(key, shape, CPU).to(device))
    monkeypatch.setattr(roller, "natively_bf16", lambda device: False)
    config = EnsembleConfig(members=3, products=())
    made = {
        device: ensemble(
            generative.path, small_dataset, config, steps=3, output=tmp_path / f"{device}.zarr", device=device
        )
        for device in ("cpu", "cuda")
    }
    close(made["cuda"].path, made["cpu"].path)


@pytest.fixture
def little_memory() -> Any:
    """Leave 128 MiB of the GPU to this process, beside what it holds."""
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (128 << 20)) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_training_that_does_not_fit_says_so(large_dataset: Path, tmp_path: Path, little_memory: None) -> None:
    """One activation of 32 channels in bf16 is 32 * 512 * 512 * 2 bytes = 16 MiB, and a step keeps some forty."""
    with pytest.raises(UnavailableError):
        train(parse(Experiment, LARGE), large_dataset, tmp_path / "run", device="cuda")
    assert open_run(tmp_path / "run").status()["state"] == "failed"


def test_the_planned_peak_is_the_allocators(large_dataset: Path, tmp_path: Path) -> None:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run = train(parse(Experiment, LARGE), large_dataset, tmp_path / "run", device="cuda")
    measured = torch.cuda.max_memory_allocated() - before
    command = ["plan", "--config", str(run.path / "config.yaml"), "--data", str(large_dataset), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["train_peak_bytes"] == pytest.approx(measured, rel=0.10)
