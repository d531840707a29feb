"""A classifier of sequences at a point: temporal convolutions, bidirectional LSTM, self-attention."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from weatherml.errors import ConfigError
from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import MODELS, Model, ModelConfig
from weatherml.nn.temporal import SequenceClassifier
from weatherml.tasks import Task


class SequenceClassifierModel(Model):
    """The logit of an event after S steps of features at one point."""

    def __init__(self, network: SequenceClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Fields:
        """The logits, (B, 1, 1, 1, 1) in float32."""
        logits: Tensor = self.network(batch.history.flatten(2))
        return logits.float().view(-1, 1, 1, 1, 1)

    def attention_weights(self, batch: Batch) -> Tensor:
        """How much each step reads from each, (B, S, S).

        Raises:
            ConfigError: the model has no attention.
        """
        if self.network.attention is None:
            raise ConfigError("model.attention: false, so there are no attention weights; train with attention=true")
        return self.network.attention_weights(batch.history.flatten(2))


@MODELS.register("cnn-convlstm")
class CNNConvLSTM(ModelConfig):
    """105,793 parameters for 37 features.

    Attributes:
        base_features: width of the convolutions.
        kernel: odd width of the convolutions, in steps.
        lstm_hidden: units of the LSTM in each direction.
        lstm_layers: of the LSTM.
        attention: whether the steps read from each other before their mean is taken.
        heads: of the attention; they divide 2 lstm_hidden.
        head: widths of the dense layers before the logit.
        dropout: share of activations dropped after each part.
        pooling: what the head reads: the `mean` over the steps, as in the founding document, or the `last`, where what
            came last matters most.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"classify"})
    loss: ClassVar[str] = "binary-focal"

    base_features: PositiveInt = 64
    kernel: PositiveInt = 3
    lstm_hidden: PositiveInt = 32
    lstm_layers: PositiveInt = 2
    attention: bool = True
    heads: PositiveInt = 4
    head: tuple[PositiveInt, ...] = (128, 64)
    dropout: float = Field(0.2, ge=0, lt=1)
    pooling: Literal["mean", "last"] = "mean"

    @model_validator(mode="after")
    def _fits(self) -> CNNConvLSTM:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even and would shift the days; take an odd one")
        if self.attention and 2 * self.lstm_hidden % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {2 * self.lstm_hidden} channels; set heads")
        return self

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        if (shape.height, shape.width, shape.predicted) != (1, 1, 1):
            raise ConfigError(
                f"model.kind: {self.kind} tells one event at one point, the data have {shape.predicted} on "
                f"{shape.height} x {shape.width}; take a model of fields"
            )
        return SequenceClassifierModel(self.network(shape.channels))

    def network(self, features: int) -> SequenceClassifier:
        """The network alone, for (B, S, features)."""
        return SequenceClassifier(
            features,
            width=self.base_features,
            kernel=self.kernel,
            lstm_hidden=self.lstm_hidden,
            lstm_layers=self.lstm_layers,
            heads=self.heads if self.attention else 0,
            head=self.head,
            dropout=self.dropout,
            pooling=self.pooling,
        )
