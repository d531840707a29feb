"""What a training step and a forecast step cost: the real steps, run on tensors that have no data.

Nothing here is a table of layers: torch's fake tensors take the shapes, dtypes and lifetimes of real
ones through the same model, loss, backward pass and optimizer, and the trackers watch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from weatherml.errors import ConfigError
from weatherml.fields import Shape
from weatherml.losses.base import LossConfig
from weatherml.models.base import Model, ModelConfig
from weatherml.models.diffusion import DiffusionModel
from weatherml.nn.recompute import Checkpointing, set_checkpointing
from weatherml.nn.unet import set_tiling
from weatherml.samplers.base import Sampler
from weatherml.train.planning.memory import Memory, inference_peak, training_memory
from weatherml.train.planning.step import Precision, StepSettings, TrainingStep, autocast, made_batch, unit_weights

PLANNED_CALLS = 3
"""Of a sampler: memory is that of any number, since calls follow one another."""
NOTHING = Memory(weights=0, averages=0, gradients=0, optimizer=0, batch=0, activations=0, temporaries=0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes.

    Attributes:
        parameters: trainable numbers.
        flops_per_step: floating-point operations of one optimizer step, all its microbatches, a
            multiplication and an addition counted as two; what is computed again is counted again.
        memory: of a training step where it is largest, by part; what the device's libraries use for
            themselves comes on top.
        inference_peak_bytes: of one step of a rollout of one case.
    """

    parameters: int
    flops_per_step: int
    memory: Memory
    inference_peak_bytes: int

    @property
    def train_peak_bytes(self) -> int:
        """The most memory that tensors hold in a training step."""
        return self.memory.total


class Planner:
    """A model whose steps can be planned under many settings, in seconds at any size, without the memory.

    Args:
        model: its parameters.
        shape: of the whole domain.
        loss: its parameters.
        sampler: of a diffusion model.
        crop: rows and columns of the training cases; None for the whole domain.

    Attributes:
        parameters: trainable numbers.
        levels: of checkpointing that the network has, from fast to thrifty.
        tiles: whether the network can work in tiles.

    Raises:
        ConfigError: parameters that do not fit the shape.
    """

    def __init__(
        self,
        model: ModelConfig,
        shape: Shape,
        *,
        loss: LossConfig,
        sampler: Sampler | None = None,
        crop: tuple[int, int] | None = None,
    ) -> None:
        self.mode, self.shape, self.model = FakeTensorMode(), shape, model
        height, width = crop or (shape.height, shape.width)
        self.cases = replace(shape, height=height, width=width)
        self._loss, self._sampler = loss, sampler
        with self.mode:
            network = model.build(shape)
        self.parameters = sum(p.numel() for p in network.parameters())
        self.levels = [level for level in get_args(Checkpointing) if _takes(set_checkpointing, network, level)]
        self.tiles = _takes(set_tiling, network, 64)

    def training(self, settings: StepSettings) -> tuple[int, Memory]:
        """Floating-point operations and memory of a training step.

        Raises:
            ConfigError: a level of checkpointing that the network does not have.
        """
        if not type(self.model).trainable:
            return 0, NOTHING
        with self.mode:
            step = self._step(settings)
            return step.counted(), training_memory(step)

    def work(self, settings: StepSettings) -> int:
        """Floating-point operations of a training step alone."""
        with self.mode:
            return self._step(settings).counted()

    def _step(self, settings: StepSettings) -> TrainingStep:
        network, loss = self.model.build(self.shape), self._loss.build(unit_weights(self.cases))
        return TrainingStep(network, loss, settings, self.cases)

    def inference(self, precision: Precision, *, tile: int | None = None) -> int:
        """Peak memory of a step of a rollout, whole or in tiles.

        Raises:
            ConfigError: a network that cannot work in tiles.
        """
        with self.mode:
            network = self.model.build(self.shape)
            if isinstance(network, DiffusionModel) and self._sampler is not None:
                with unset_fake_temporarily():  # noise levels are numbers, not tensors without data
                    network.sampler = self._sampler.model_copy(update={"steps": PLANNED_CALLS})
            if tile is not None:
                set_tiling(network, tile)
            return inference_peak(network, made_batch(self.shape, 1), autocast(precision))

    def plan(self, settings: StepSettings) -> Plan:
        """All of it."""
        flops, memory = self.training(settings)
        inference = self.inference(settings.precision)
        return Plan(parameters=self.parameters, flops_per_step=flops, memory=memory, inference_peak_bytes=inference)


def plan(
    model: ModelConfig,
    shape: Shape,
    *,
    loss: LossConfig,
    settings: StepSettings | None = None,
    sampler: Sampler | None = None,
) -> Plan:
    """Predict the cost of training `model` on data of `shape`.

    Raises:
        ConfigError: parameters or settings that do not fit the shape.
    """
    return Planner(model, shape, loss=loss, sampler=sampler).plan(settings or StepSettings())


def _takes(setting: Callable[..., None], network: Model, value: object) -> bool:
    """Whether the network can be set so."""
    try:
        setting(network, value)
    except ConfigError:
        return False
    return True
