"""The examples of CONTRIBUTING.md work as they stand: one file, one import line, nothing else."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from weatherml.config import parse, parse_member
from weatherml.losses import LOSSES
from weatherml.losses.base import Weights
from weatherml.metrics import METRICS
from weatherml.registry import Registry
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train
from weatherml.variables import TABLE

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code blocks, each written to a file and imported; the registries are as before afterwards."""
    registries: tuple[Registry, ...] = (LOSSES, METRICS)
    before = [dict(registry._members) for registry in registries]
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)):
        file = tmp_path / f"example_{number}.py"
        file.write_text(code)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # where pydantic looks its annotations up
        spec.loader.exec_module(module)
    yield
    for registry, members in zip(registries, before, strict=True):
        registry._members = members


@pytest.mark.usefixtures("examples")
def test_the_loss_of_the_example(small_dataset: Path, tmp_path: Path) -> None:
    one = torch.ones(1)
    loss = parse_member(LOSSES, {"kind": "huber", "delta": 1.0}, at="loss").build(
        Weights(scale=one, variable=one, rows=torch.ones(1))
    )
    errors = torch.tensor([0.5, 3.0]).view(1, 1, 1, 1, 2)
    # (0.5^2 / 2 + 1 * (3 - 1/2)) / 2 = (0.125 + 2.5) / 2
    assert float(loss(errors, torch.zeros_like(errors), torch.ones_like(errors).bool())) == pytest.approx(1.3125)
    settings = {
        "model": {"kind": "simple-cnn", "base_features": 8, "blocks": 1},
        "loss": {"kind": "huber", "delta": 0.5},
        "train": {"steps": 2, "precision": "32-true"},
    }
    run = train(parse(Experiment, settings), small_dataset, tmp_path / "run", device="cpu")
    assert run.status()["state"] == "finished"
    assert "kind: huber" in (run.path / "config.yaml").read_text()
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert all(math.isfinite(json.loads(line).get("loss", 0.0)) for line in lines)


@pytest.mark.usefixtures("examples")
def test_the_metric_of_the_example() -> None:
    (metric,) = METRICS["miss_share"].score_card(TABLE["refc"], 3.0)
    assert METRICS["miss_share"].score_card(TABLE["t2m"], 3.0) == []
    forecast, truth = torch.tensor([[[[0.0, 20.0, 0.0, 5.0]]]]), torch.zeros(1, 1, 4)
    sums = metric.statistics(forecast, truth, torch.ones(1, 1, 4, dtype=torch.bool), torch.ones(1, dtype=torch.float64))
    assert metric.value(sums).tolist() == [0.25]  # one of four is wrong by more than 10
