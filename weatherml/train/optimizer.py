"""The optimizers, warm-up and cosine, and the moving average of weights."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from weatherml.models.base import Model
from weatherml.run.experiment import TrainConfig
from weatherml.train.muon import Muon
from weatherml.train.processes import whole

NARROW = 16


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, or Muon where it was chosen, with weight decay on matrices and kernels alone.

    Fused: on a CPU too it is several times faster.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    inner = [p for p in parameters if config.optimizer == "muon" and _is_inner(p)]
    decayed = [p for p in parameters if p.ndim > 1 and not any(p is other for other in inner)]
    groups: list[dict[str, Any]] = [
        {"params": inner, "weight_decay": config.weight_decay, "orthogonal": True},
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = Muon if config.optimizer == "muon" else torch.optim.AdamW
    return kind([group for group in groups if group["params"]], lr=config.lr, fused=True)


def _is_inner(parameter: nn.Parameter) -> bool:
    """Whether it is a kernel between two wide layers: what enters from the data and leaves to it is AdamW's."""
    return parameter.ndim == 4 and min(parameter.shape[:2]) >= NARROW


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Linear warm-up over `warmup` steps, then a cosine to zero at `steps`."""
    warmup = min(config.warmup, steps // 2)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class MovingAverage:
    """An exponential moving average of a model's weights, in a model of its own.

    Early on the decay is (1 + n) / (10 + n), so that the average does not remember the initial weights.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.model: Model = deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = whole(model.state_dict())
        for name, mine in self.model.state_dict().items():
            theirs = weights[name]
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
