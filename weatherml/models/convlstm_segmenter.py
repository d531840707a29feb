"""A convolutional LSTM over a few images, and a mask at the last."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import nn

from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import MODELS, Model, ModelConfig, edges
from weatherml.nn.convlstm import ConvLSTM
from weatherml.nn.padding import Padding
from weatherml.tasks import Task


@MODELS.register("convlstm-segmenter")
class ConvLSTMSegmenter(ModelConfig):
    """Convolutional LSTM layers and a 1 x 1 head; 263,105 parameters for four bands.

    Attributes:
        hidden: channels of each layer.
        kernels: odd width of each layer's convolution.
        padding: beyond the edges; None takes zeros.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"segment"})
    loss: ClassVar[str] = "combined"

    hidden: tuple[PositiveInt, ...] = Field((32, 64), min_length=1)
    kernels: tuple[PositiveInt, ...] = (3, 3)
    padding: Padding | None = None

    @field_validator("kernels")
    @classmethod
    def _odd(cls, kernels: tuple[int, ...]) -> tuple[int, ...]:
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"{kernels}: an even width has no middle; take odd ones")
        return kernels

    @model_validator(mode="after")
    def _layers_agree(self) -> ConvLSTMSegmenter:
        if len(self.hidden) != len(self.kernels):
            raise ValueError(f"{len(self.kernels)} kernels for {len(self.hidden)} hidden layers; give one for each")
        return self

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        network = ConvLSTM(shape.channels, self.hidden, self.kernels, padding=edges(self.padding, shape))
        return Segmenter(network, nn.Conv2d(self.hidden[-1], shape.predicted, 1))


class Segmenter(Model):
    """Logits at every pixel, from a network of a sequence and a head.

    Args:
        network: from (B, S, C, H, W) to (B, D, H, W).
        head: from (B, D, H, W) to (B, V, H, W).
    """

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, batch: Batch) -> Fields:
        """The logits at the last step, (B, 1, V, H, W) in float32."""
        logits: Fields = self.head(self.network(batch.history))
        return logits.float().unsqueeze(1)
