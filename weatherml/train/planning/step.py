"""The optimizer's step as training takes it, on a device or on fake tensors, which have shapes and no data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from weatherml.config import Config
from weatherml.fields import Batch, Shape
from weatherml.losses.base import LossModule, Weights
from weatherml.models.base import Model
from weatherml.nn.recompute import Checkpointing, set_checkpointing
from weatherml.run.experiment import OptimizerKind, TrainConfig
from weatherml.train.objective import follow
from weatherml.train.optimizer import build_optimizer

Precision: TypeAlias = Literal["float32", "bf16"]


class StepSettings(Config):
    """What the cost of a step depends on, beside the model, the loss and the data's shape.

    Attributes:
        batch: cases in a microbatch.
        accumulate: microbatches whose gradients are summed before the optimizer steps.
        precision: `bf16` computes under autocast, with weights in float32.
        checkpointing: what is computed again in the backward pass, see `weatherml.nn.recompute`.
        clip: the largest norm of the gradient; None leaves it as it is.
        averages: copies of the weights kept beside them (1 for an exponential moving average).
        horizon: forecast steps that the loss follows, `train.horizon`.
        pushforward: `train.pushforward`.
        optimizer: `train.optimizer`.
    """

    batch: PositiveInt = 1
    accumulate: PositiveInt = 1
    precision: Precision = "float32"
    checkpointing: Checkpointing = "none"
    clip: PositiveFloat | None = 1.0
    averages: NonNegativeInt = 1
    horizon: PositiveInt = 1
    pushforward: bool = False
    optimizer: OptimizerKind = "adamw"


class TrainingStep:
    """A network in training.

    Args:
        network: on the device.
        loss: on the device.
        settings: of the step.
        shape: of the training data.
        device: where the batch is made; within a FakeTensorMode it is not touched.

    Raises:
        ConfigError: a level of checkpointing that the network does not have.
    """

    def __init__(
        self, network: Model, loss: LossModule, settings: StepSettings, shape: Shape, *, device: str = "cpu"
    ) -> None:
        for part in (network, loss):
            set_checkpointing(part, settings.checkpointing)
        self.network, self.loss, self.settings, self.lead = network, loss, settings, shape.lead
        self.device = device
        self.optimizer = build_optimizer(network, TrainConfig(optimizer=settings.optimizer))
        self.averages = [[p.detach().clone() for p in network.parameters()] for _ in range(settings.averages)]
        self.batch = made_batch(replace(shape, lead=shape.lead * settings.horizon), settings.batch, device=device)
        self.forward = Call(self._forward, network, loss)

    def _forward(self) -> Tensor:
        return follow(
            self.network,
            self.batch,
            self.loss,
            horizon=self.settings.horizon,
            lead=self.lead,
            bounded=lambda states: states,
            members=self.loss.members,
            pushforward=self.settings.pushforward,
        )

    def microbatch(self) -> None:
        """Add a microbatch to the gradients."""
        with autocast(self.settings.precision, self.device):
            loss = self.forward()
        loss.backward()

    def update(self) -> None:
        """Clip the gradients and let the optimizer and the averages step."""
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        with torch.no_grad():
            for average in self.averages:
                for mine, its in zip(average, self.network.parameters(), strict=True):
                    mine.lerp_(its, 0.01)

    def forget(self) -> None:
        """Drop the gradients."""
        self.optimizer.zero_grad()

    def whole(self) -> None:
        """A whole step, all its microbatches."""
        for _ in range(self.settings.accumulate):
            self.microbatch()
        self.update()
        self.forget()

    def counted(self) -> int:
        """Take a step and count the floating-point operations of a whole one; the gradients stay.

        Microbatches are alike, so one is computed; Muon's matrix products count, AdamW's sums do not.
        """
        with FlopCounterMode(display=False) as each:
            self.microbatch()
        with FlopCounterMode(display=False) as last:
            self.update()
        return int(each.get_total_flops()) * self.settings.accumulate + int(last.get_total_flops())


class Call(torch.nn.Module):
    """A computation as one module: a memory tracker allows the modules within to be called more than once."""

    def __init__(self, compute: Callable[[], Tensor], *modules: torch.nn.Module) -> None:
        super().__init__()
        self.compute, self.within = compute, torch.nn.ModuleList(modules)

    def forward(self) -> Tensor:
        """Compute."""
        return self.compute()


def autocast(precision: Precision, device: str = "cpu") -> torch.autocast:
    """The context in which a step computes."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")


def unit_weights(shape: Shape) -> Weights:
    """A loss's weights of the right shapes."""
    scale = torch.tensor(shape.delta_std)
    return Weights(
        scale=scale, variable=torch.ones_like(scale), rows=torch.ones(shape.height), physical=torch.nn.Softplus
    )


def made_batch(shape: Shape, cases: int, *, device: str = "cpu") -> Batch:
    """A batch of noise of the right shapes."""
    grid: tuple[int, int] = (shape.height, shape.width)
    made: dict[str, Any] = {"device": device}
    target = (cases, shape.lead, shape.predicted, *grid)
    return Batch(
        history=torch.randn(cases, shape.history, shape.channels, *grid, **made),
        forcing=torch.randn(cases, shape.lead, shape.forcing, *grid, **made),
        static=torch.randn(shape.static, *grid, **made),
        valid_time=torch.zeros(cases, shape.lead, dtype=torch.int64, **made),
        target=torch.randn(target, **made),
        mask=torch.ones(target, dtype=torch.bool, **made),
    )
