"""What a training step and a forecast step cost: the real steps, run on tensors that have no data.

Nothing here is a table of layers: torch's fake tensors take the shapes, dtypes and lifetimes of real
ones through the same model, loss, backward pass and optimizer, and the trackers watch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from weatherml.config import Config
from weatherml.fields import Batch, Shape
from weatherml.losses.base import LossConfig, LossModule, Weights
from weatherml.models.base import Model, ModelConfig
from weatherml.models.diffusion import DiffusionModel
from weatherml.nn.blocks import set_checkpointing
from weatherml.run.experiment import OptimizerKind, TrainConfig
from weatherml.samplers.base import Sampler
from weatherml.train.objective import follow
from weatherml.train.optimizer import build_optimizer

Precision: TypeAlias = Literal["float32", "bf16"]
Checkpointing: TypeAlias = Literal["none", "blocks"]
PLANNED_CALLS = 3
"""Of a sampler: memory is that of any number, since calls follow one another."""


class StepSettings(Config):
    """What the cost of a step depends on, beside the model, the loss and the data's shape.

    Attributes:
        batch: cases in a microbatch.
        accumulate: microbatches whose gradients are summed before the optimizer steps.
        precision: `bf16` computes under autocast, with weights in float32.
        checkpointing: `blocks` forgets the activations of each block and computes them again.
        clip: the largest norm of the gradient; None leaves it as it is.
        averages: copies of the weights kept beside them (1 for an exponential moving average).
        horizon: forecast steps that the loss follows, `train.horizon`.
        optimizer: `train.optimizer`.
    """

    batch: PositiveInt = 1
    accumulate: PositiveInt = 1
    precision: Precision = "float32"
    checkpointing: Checkpointing = "none"
    clip: PositiveFloat | None = 1.0
    averages: NonNegativeInt = 1
    horizon: PositiveInt = 1
    optimizer: OptimizerKind = "adamw"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes.

    Attributes:
        parameters: trainable numbers.
        flops_per_step: floating-point operations of one optimizer step, all its microbatches, a
            multiplication and an addition counted as two.
        train_peak_bytes: the most memory that tensors hold in a training step: weights, averages, gradients,
            optimizer state, activations and batch; what the device's libraries use for themselves comes on top.
        inference_peak_bytes: the same for one step of a rollout of one case.
    """

    parameters: int
    flops_per_step: int
    train_peak_bytes: int
    inference_peak_bytes: int


def plan(
    model: ModelConfig,
    shape: Shape,
    *,
    loss: LossConfig,
    settings: StepSettings | None = None,
    sampler: Sampler | None = None,
) -> Plan:
    """Predict the cost of training `model` on data of `shape`, in seconds at any size, without the memory.

    Raises:
        ConfigError: parameters that do not fit the shape.
    """
    settings = settings or StepSettings()
    with FakeTensorMode():
        network = model.build(shape)
        objective = loss.build(_weights(shape))
        if isinstance(network, DiffusionModel) and sampler is not None:
            with unset_fake_temporarily():  # noise levels are numbers, not tensors without data
                network.sampler = sampler.model_copy(update={"steps": PLANNED_CALLS})
        inference = _inference_peak(network, _batch(shape, 1), settings)
        trained = _Training(network, objective, settings, shape) if model.trainable else None
        return Plan(
            parameters=sum(p.numel() for p in network.parameters()),
            flops_per_step=trained.flops() if trained else 0,
            train_peak_bytes=trained.peak() if trained else 0,
            inference_peak_bytes=inference,
        )


class _Training:
    """A model in training: the optimizer's step as the trainer takes it."""

    def __init__(self, model: Model, loss: LossModule, settings: StepSettings, shape: Shape) -> None:
        set_checkpointing(model, settings.checkpointing == "blocks")
        self.model, self.loss, self.settings = model, loss, settings
        self.call = _Call(self._loss, model, loss)
        self.optimizer = build_optimizer(model, TrainConfig(optimizer=settings.optimizer))
        self.averages = [[p.detach().clone() for p in model.parameters()] for _ in range(settings.averages)]
        self.lead = shape.lead
        self.batch = _batch(replace(shape, lead=shape.lead * settings.horizon), settings.batch)

    def microbatch(self) -> None:
        with _autocast(self.settings.precision):
            loss = self.call()
        loss.backward()

    def _loss(self) -> Tensor:
        return follow(
            self.model,
            self.batch,
            self.loss,
            horizon=self.settings.horizon,
            lead=self.lead,
            bounded=lambda states: states,
            members=self.loss.members,
        )

    def finish(self) -> None:
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def flops(self) -> int:
        """Of all microbatches; they are alike, and what the optimizer adds is none that the counter counts."""
        with FlopCounterMode(display=False) as counter:
            self.microbatch()
        self.optimizer.zero_grad()
        return int(counter.get_total_flops()) * self.settings.accumulate

    def peak(self) -> int:
        """Of a step that finds the optimizer's state there, and the gradients of an earlier microbatch."""
        self.microbatch()
        self.finish()
        tracker = MemTracker()
        tracker.track_external(self.model, self.loss, self.optimizer, *self._tensors())
        with tracker:
            for _ in range(min(self.settings.accumulate, 2)):
                self.microbatch()
                tracker.reset_mod_stats()
            self.finish()
        return _peak(tracker)

    def _tensors(self) -> list[Tensor]:
        return [*_tensors(self.batch), *(tensor for average in self.averages for tensor in average)]


class _Call(torch.nn.Module):
    """A computation as one module: the tracker allows the modules within to be called more than once."""

    def __init__(self, compute: Callable[[], Tensor], *modules: torch.nn.Module) -> None:
        super().__init__()
        self.compute, self.within = compute, torch.nn.ModuleList(modules)

    def forward(self) -> Tensor:
        return self.compute()


def _inference_peak(model: Model, batch: Batch, settings: StepSettings) -> int:
    batch = replace(batch, target=None, mask=None)
    model.eval()
    tracker = MemTracker()
    tracker.track_external(model, *_tensors(batch))
    with tracker, torch.no_grad(), _autocast(settings.precision):
        _Call(partial(model.step, batch), model)()
    model.train()
    return _peak(tracker)


def _autocast(precision: Precision) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")


def _peak(tracker: MemTracker) -> int:
    return sum(snapshot["Total"] for snapshot in tracker.get_tracker_snapshot("peak").values())


def _tensors(batch: Batch) -> list[Tensor]:
    return [tensor for tensor in vars(batch).values() if tensor is not None]


def _weights(shape: Shape) -> Weights:
    scale = torch.tensor(shape.delta_std)
    return Weights(scale=scale, variable=torch.ones_like(scale), rows=torch.ones(shape.height))


def _batch(shape: Shape, cases: int) -> Batch:
    """A batch of the right shapes."""
    grid = (shape.height, shape.width)
    target = (cases, shape.lead, shape.predicted, *grid)
    return Batch(
        history=torch.empty(cases, shape.history, shape.channels, *grid),
        forcing=torch.empty(cases, shape.lead, shape.forcing, *grid),
        static=torch.empty(shape.static, *grid),
        valid_time=torch.empty(cases, shape.lead, dtype=torch.int64),
        target=torch.empty(target),
        mask=torch.empty(target, dtype=torch.bool),
    )
