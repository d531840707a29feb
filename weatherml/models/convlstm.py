"""ConvLSTM emulator: memory at each point of the grid, over the steps of the forcings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from weatherml.errors import ConfigError
from weatherml.fields import Batch, Shape
from weatherml.models.base import MODELS, Model, ModelConfig, edges
from weatherml.models.prediction import DirectModel
from weatherml.nn.blocks import Conv
from weatherml.nn.convlstm import ConvLSTM as Network
from weatherml.nn.padding import Padding
from weatherml.tasks import Task


@MODELS.register("convlstm")
class ConvLSTM(ModelConfig):
    """Parameters of a ConvLSTM; `configs/model/convlstm.yaml` holds every one, and none may be missing.

    Attributes:
        input_channels: of a step; None takes the data's.
        num_output_variables: None takes the data's.
        sequence_length: S; None takes the data's.
        convlstm_hidden_dims: channels of each layer.
        convlstm_kernel_sizes: odd width of each layer's convolution.
        convlstm_bias: of the layers' convolutions.
        batch_norm: of each layer's output.
        dropout: share of the channels dropped before the head.
        padding: beyond the edges; None takes zeros, and `circular` along x on grids that go round the globe.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"emulate"})
    loss: ClassVar[str] = "mse"

    input_channels: PositiveInt | None
    num_output_variables: PositiveInt | None
    sequence_length: PositiveInt | None
    convlstm_hidden_dims: tuple[PositiveInt, ...] = Field(min_length=1)
    convlstm_kernel_sizes: tuple[PositiveInt, ...]
    convlstm_bias: bool
    batch_norm: bool = True
    dropout: float = Field(0.0, ge=0, lt=1)
    padding: Padding | None = None

    @field_validator("convlstm_kernel_sizes")
    @classmethod
    def _odd(cls, kernels: tuple[int, ...]) -> tuple[int, ...]:
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError("kernels are odd")
        return kernels

    @model_validator(mode="after")
    def _a_kernel_for_each_layer(self) -> ConvLSTM:
        kernels, layers = len(self.convlstm_kernel_sizes), len(self.convlstm_hidden_dims)
        if kernels != layers:
            raise ValueError(f"{kernels} convlstm_kernel_sizes for {layers} convlstm_hidden_dims")
        return self

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        self._require(
            input_channels=shape.channels, num_output_variables=shape.predicted, sequence_length=shape.history
        )
        padding, hidden = edges(self.padding, shape), self.convlstm_hidden_dims
        network = nn.Sequential(
            Network(
                shape.channels,
                hidden,
                self.convlstm_kernel_sizes,
                bias=self.convlstm_bias,
                padding=padding,
                norm=self.batch_norm,
            ),
            nn.Dropout2d(self.dropout),
            Conv(hidden[-1], shape.predicted, 1, padding=padding),
        )
        return DirectModel(network, shape, inputs=Steps())

    def _require(self, **data: int) -> None:
        """Raise ConfigError where a size that the data decide was set to another."""
        for key, size in data.items():
            given = getattr(self, key)
            if given not in (None, size):
                raise ConfigError(
                    f"model.{key}: {given}, the data have {size}; set model.{key}=null to take the data's"
                )


class Steps(nn.Module):
    """The steps of the inputs as they are."""

    def forward(self, batch: Batch) -> Tensor:
        """(B, S, C, H, W)."""
        return batch.history
