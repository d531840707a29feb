"""The contract of a model: from a normalised batch to the next normalised states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from weatherml.config import Config
from weatherml.fields import Batch, Fields, Shape, Task
from weatherml.nn.padding import Padding
from weatherml.registry import Registry

MODELS: Registry[ModelConfig] = Registry("models")
Loss = Callable[[Fields, Fields, Tensor], Tensor]
"""(prediction, target, mask), each (B, L, C, H, W), to a scalar."""


class ModelConfig(Config, ABC):
    """Parameters of a model.

    Attributes:
        tasks: the tasks that the model serves.
        trainable: False where there is nothing to learn.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})
    trainable: ClassVar[bool] = True

    @abstractmethod
    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`, freshly initialised from torch's random state.

        Raises:
            ConfigError: parameters that do not fit the shape.
        """


class Model(nn.Module, ABC):
    """A network on normalised fields. Trainer and rollout know only these three methods."""

    @abstractmethod
    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W)."""

    def objective(self, batch: Batch, loss: Loss, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002 - generative models draw from it
        """The training loss of a batch, a scalar; generative models bring their own."""
        assert batch.target is not None
        assert batch.mask is not None
        return loss(self(batch), batch.target, batch.mask)

    def step(self, batch: Batch, generator: torch.Generator | None = None) -> Fields:  # noqa: ARG002
        """One step of a rollout, (B, L, C, H, W); generative models draw a sample."""
        prediction: Fields = self(batch)
        return prediction


def edges(padding: Padding | None, shape: Shape) -> Padding:
    """The padding that was set, or else zeros, circular where the columns go round the globe."""
    return padding or Padding(x="circular" if shape.periodic_x else "zeros")
