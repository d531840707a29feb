"""Weights of cases reach the loss of every model, whole or in pieces, and a run with storms trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.train.test_trainer import SMALL
from weatherml.config import parse
from weatherml.fields import Batch, Fields
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule, Weights
from weatherml.models.base import Model
from weatherml.run.experiment import Experiment
from weatherml.train.objective import follow
from weatherml.train.share import Share
from weatherml.train.trainer import train

STORMS = {"variable": "refc", "threshold": 30.0, "share": 0.5}


class Scaled(Model):
    """A learned multiple of the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, batch: Batch) -> Fields:
        return self.factor * batch.history[:, -1:]


def case_batch(cases: int, leads: int) -> Batch:
    draw = torch.Generator().manual_seed(0)
    target = torch.randn(cases, leads, 2, 4, 5, generator=draw)
    return Batch(
        history=torch.randn(cases, 1, 2, 4, 5, generator=draw),
        forcing=torch.zeros(cases, leads, 0, 4, 5),
        static=torch.zeros(0, 4, 5),
        valid_time=torch.zeros(cases, leads, dtype=torch.int64),
        target=target,
        mask=torch.rand(target.shape, generator=draw) > 0.2,
        weight=torch.tensor([0.5, 2.0, 1.0, 0.25])[:cases],
    )


def build(kind: str) -> LossModule:
    return LOSSES[kind]().build(Weights(scale=torch.ones(2), variable=torch.ones(2), rows=torch.ones(4)))


def gradient(batch: Batch, loss: LossModule, horizon: int) -> Tensor:
    model = Scaled()
    follow(model, batch, loss, horizon=horizon, lead=1, bounded=lambda states: states, members=loss.members).backward()
    assert model.factor.grad is not None
    return model.factor.grad


@pytest.mark.parametrize("kind", ["mse", "weather", "crps"])
@pytest.mark.parametrize("horizon", [1, 2])
def test_a_batch_is_the_weighted_mean_of_its_cases(kind: str, horizon: int) -> None:
    """Whole, in two pieces, and case by case, over one call and over two."""
    batch, loss = case_batch(4, horizon), build(kind)
    assert batch.weight is not None
    shares = [Share.of(4, 1, pieces=pieces) for pieces in (2, 4)]
    whole = gradient(batch, loss, horizon)
    for share in shares:
        pieces = [gradient(share.cut(batch, piece), loss, horizon) for piece in range(share.pieces)]
        torch.testing.assert_close(share.weight * torch.stack(pieces).sum(), whole)
    alone = [gradient(replace(shares[1].cut(batch, case), weight=None), loss, horizon) for case in range(4)]
    torch.testing.assert_close((batch.weight * torch.stack(alone)).mean(), whole)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("unet-residual", {}), ("crps", {}), ("edm", {"target": "forecast-error"}), ("ddpm", {})],
)
def test_a_run_with_storms_trains(small_dataset: Path, tmp_path: Path, model: str, parameters: dict[str, Any]) -> None:
    settings = {
        "data": {"storms": STORMS, "flips": True, "crop": [16, 16]},
        "model": {"kind": model, **SMALL[model], **parameters},
        "train": {
            "steps": 6,
            "batch": 2,
            "accumulate": 2,
            "precision": "32-true",
            "validation": {"every": 6, "cases": 1, "lead_steps": 1},
            "calibration": {"cases": 0},
        },
    }
    run = train(parse(Experiment, settings), small_dataset, tmp_path / "run", device="cpu")
    last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    assert last["step"] == 6
    assert last["loss"] > 0
