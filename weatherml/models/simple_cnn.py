"""A plain convolutional network: residual blocks at full resolution."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt
from torch import nn

from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model, ModelConfig, edges
from weatherml.models.prediction import Change, ChangeModel, DirectModel
from weatherml.nn.blocks import Conv, Norm, ResidualBlock
from weatherml.nn.inputs import StackedInputs
from weatherml.nn.padding import Padding
from weatherml.tasks import Task


@MODELS.register("simple-cnn")
class SimpleCNN(ModelConfig):
    """Predicts a forecast's change, or an emulator's target; a point sees 2 + 2 * blocks points in each direction.

    Attributes:
        base_features: channels of every layer.
        blocks: residual blocks.
        padding: beyond the edges; None takes zeros, and `circular` along x on grids that go round the globe.
        dropout: share of activations dropped in each block.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast", "emulate"})

    base_features: PositiveInt = 40
    blocks: PositiveInt = 4
    padding: Padding | None = None
    dropout: float = Field(0.0, ge=0, lt=1)

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`; it begins as persistence, or as the training mean."""
        width, padding = self.base_features, edges(self.padding, shape)
        network = nn.Sequential(
            Conv(shape.inputs, width, padding=padding),
            *(ResidualBlock(width, padding=padding, dropout=self.dropout) for _ in range(self.blocks)),
            Norm(width),
            nn.SiLU(),
            Conv(width, shape.lead * shape.predicted, padding=padding, zero=True),
        )
        if shape.targets is not None:
            return DirectModel(network, shape)
        return ChangeModel(network, Change(shape), inputs=StackedInputs(shape))
