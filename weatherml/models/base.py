"""The contract of a model: from a normalised batch to the next normalised states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from weatherml.config import Config, Settings
from weatherml.fields import Batch, Fields, Noise, Shape
from weatherml.nn.equalizer import Equalizer
from weatherml.nn.padding import Padding
from weatherml.registry import Registry
from weatherml.tasks import Task

MODELS: Registry[ModelConfig] = Registry("models")
Loss = Callable[[Fields, Fields, Tensor], Tensor]
"""(prediction, target, mask), each (B, L, C, H, W), to a scalar."""


class ModelConfig(Config, ABC):
    """Parameters of a model.

    Attributes:
        tasks: the tasks that the model serves.
        trainable: False where no steps of an optimizer are taken.
        fitted: True where the model learns in one go, from all training samples, by `FittedModel.fit`.
        generative: True where `step` draws a sample: its runs become ensembles.
        sampler: settings of the usual sampler of a model that needs one; None where a sample is one network call.
        discrete: True where it knows only some noise levels, and samplers that ask for others do not serve it.
        loss: kind of the usual loss.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})
    trainable: ClassVar[bool] = True
    fitted: ClassVar[bool] = False
    generative: ClassVar[bool] = False
    sampler: ClassVar[Settings | None] = None
    discrete: ClassVar[bool] = False
    loss: ClassVar[str] = "weather"

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`, freshly initialised from torch's random state.

        Raises:
            ConfigError: parameters that do not fit the shape.
        """


class Model(nn.Module, ABC):
    """A network on normalised fields. Trainer and rollout know only these methods."""

    @abstractmethod
    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W)."""

    def objective(self, batch: Batch, loss: Loss) -> Tensor:
        """The training loss of a batch, a scalar; diffusion models bring their own around `loss`."""
        assert batch.target is not None
        assert batch.mask is not None
        return loss(self.step(batch), batch.target, batch.mask)

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:  # noqa: ARG002 - generative models draw from it
        """One step of a rollout, (B, L, C, H, W); generative models draw a sample, each row with its own noise."""
        prediction: Fields = self(batch)
        return prediction

    def within(self, work: Callable[[Model], Tensor]) -> Tensor:
        """What `work` makes of the model, such as a loss over several steps.

        Where several processes train, this is the one call that their strategy sees of a forward pass.
        """
        return work(self)

    def diagnostics(self) -> dict[str, float]:
        """What training is to log beside the loss, of the batches since the last call."""
        return {}


class FittedModel(Model):
    """A model that learns in one go."""

    @abstractmethod
    def fit(self, batch: Batch) -> None:
        """Learn from all training samples at once."""


class GenerativeModel(Model):
    """A model whose step is a draw from a distribution.

    Args:
        fields: L*C, that it draws.
        equalizer: of what is drawn, where that is an error: about 0, and added.

    Attributes:
        temperature: (fields, 1, 1), what multiplies the noise of each, or what is drawn; calibration fits it.
    """

    temperature: Tensor

    def __init__(self, fields: int, equalizer: Equalizer | None = None) -> None:
        super().__init__()
        self.equalizer = equalizer
        self.register_buffer("temperature", torch.ones(fields, 1, 1), persistent=False)

    def tempered(self, error: Tensor) -> Tensor:
        """(B, L*C, H, W) as it is added: at its temperature, each wave with its gain. Training learns them as one."""
        if self.equalizer is not None and not self.training:
            error = self.equalizer(error)
        return self.temperature * error

    def forward(self, batch: Batch) -> Fields:
        """A sample with noise from torch's global random state, (B, L, C, H, W)."""
        return self.step(batch)

    @abstractmethod
    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        """A sample, (B, L, C, H, W)."""


def free_noise(like: Tensor) -> Noise:
    """Noise from torch's global random state, on the device of `like`: for training, which seeds it by step."""
    return lambda shape: torch.randn(tuple(shape), device=like.device)


def edges(padding: Padding | None, shape: Shape) -> Padding:
    """The padding that was set, or else zeros, circular where the columns go round the globe."""
    return padding or Padding(x="circular" if shape.periodic_x else "zeros")
