"""Each generative model learns the law of a small Gaussian world, and draws from it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from weatherml.config import parse
from weatherml.fields import Batch, Shape
from weatherml.losses import LOSSES
from weatherml.losses.base import Weights
from weatherml.models import MODELS
from weatherml.models.diffusion import DiffusionModel
from weatherml.samplers import SAMPLERS
from weatherml.train.objective import repeated
from weatherml.train.validation import errors

GENERATIVE = sorted(name for name in MODELS if MODELS[name].generative)
SIZE, KEPT, NOISE = 16, 0.8, 0.6
SHAPE = Shape(channels=1, height=SIZE, width=SIZE, delta_std=(math.hypot(1 - KEPT, NOISE),))


def cases(count: int) -> Batch:
    """A state of variance 1 is moved by a column, KEPT of it, and noise of a standard deviation NOISE added."""
    history = torch.randn(count, 1, 1, SIZE, SIZE)
    target = KEPT * history.roll(1, -1) + NOISE * torch.randn_like(history)
    nothing = torch.zeros(count, 1, 0, SIZE, SIZE)
    return Batch(
        history=history,
        forcing=nothing,
        static=nothing[0, 0],
        valid_time=torch.zeros(count, 1, dtype=torch.int64),
        target=target,
        mask=torch.ones_like(target, dtype=torch.bool),
    )


def learn(model: Any, loss: Any, steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), 0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * math.cos(math.pi / 2 * step / steps)
        total = model.objective(repeated(cases(16), loss.members), loss)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow) if each == "ddpm" else each for each in GENERATIVE]
)
def test_near_the_attainable_score(name: str) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"base_features": 16, "depth": 0, "blocks": 1, "padding": "circular"}
    settings |= {"ddpm": {"prediction": "v", "condition_features": 8}}.get(name, {})
    model = parse(MODELS[name], settings).build(SHAPE)
    weights = Weights(scale=torch.tensor(SHAPE.delta_std), variable=torch.ones(1), rows=torch.ones(SIZE))
    learn(model, LOSSES[MODELS[name].loss]().build(weights), steps=250)
    model.eval()
    if isinstance(model, DiffusionModel):
        model.sampler = SAMPLERS["dpm-solver++"](steps=12)
    batch = cases(16)
    M = 4
    with torch.no_grad():
        members: Tensor = model.step(repeated(batch, M)).view(16, M, 1, 1, SIZE, SIZE)
    fair = float(errors(members, batch.target, batch.history)[0].mean())
    # the fair CRPS of the law itself is E|x - y| - E|x - x'| / 2 = NOISE / sqrt(pi); 4096 points: known to about 1.5 %
    assert fair / (NOISE / math.sqrt(math.pi)) == pytest.approx(1, abs=0.1)
    assert float(members.std(1).square().mean().sqrt()) / NOISE == pytest.approx(1, abs=0.15)
