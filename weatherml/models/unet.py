"""U-Net that predicts the next state directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import nn

from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model, ModelConfig, edges
from weatherml.models.prediction import Change, ChangeModel, DirectModel
from weatherml.nn.blocks import NormKind
from weatherml.nn.equalizer import Equalizer
from weatherml.nn.inputs import ScaledInputs, StackedInputs
from weatherml.nn.padding import Padding
from weatherml.nn.unet import UNet as Network
from weatherml.tasks import Task


@MODELS.register("unet")
class UNet(ModelConfig):
    """Parameters of a U-Net.

    Attributes:
        base_features: channels at full resolution.
        depth: levels below the first, each at half the resolution of the one above.
        blocks: residual blocks of a level on the way down, and as many on the way up.
        multipliers: channels of each level in units of `base_features`; None doubles them at each level.
        padding: beyond the edges; None takes zeros, and `circular` along x on grids that go round the globe.
        dropout: share of activations dropped in each block.
        attention: the levels with self-attention, 0 at full resolution and `depth` the coarsest.
        norm: `group` pools over the whole grid; `point`, over each point's channels, and `none` allow tiles.
        scaled_inputs: see `weatherml.nn.inputs.ScaledInputs`.
        advection: of models that predict a change, see `weatherml.models.prediction.Change`.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast", "emulate"})

    base_features: PositiveInt = 40
    depth: int = Field(3, ge=0, le=8)
    blocks: int = Field(2, ge=1, le=64)
    multipliers: tuple[PositiveFloat, ...] | None = None
    padding: Padding | None = None
    dropout: float = Field(0.0, ge=0, lt=1)
    attention: tuple[NonNegativeInt, ...] = ()
    norm: NormKind = "group"
    scaled_inputs: bool = False
    advection: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _levels_agree(self) -> UNet:
        if self.multipliers is not None and len(self.multipliers) != self.depth + 1:
            raise ValueError(f"{len(self.multipliers)} multipliers for {self.depth + 1} levels")
        if any(level > self.depth for level in self.attention):
            raise ValueError(f"attention at {self.attention}, but the coarsest level is {self.depth}")
        return self

    @model_validator(mode="after")
    def _advection_serves(self) -> UNet:
        if self.advection and not self.changes:
            raise ValueError(f"advection is for a predicted change, which {self.kind} does not make; leave it at 0")
        return self

    @property
    def changes(self) -> bool:
        """Whether a deterministic network of it predicts the change."""
        return False

    @property
    def widths(self) -> list[int]:
        """The channels of each level, full resolution first."""
        multipliers = self.multipliers or [2**level for level in range(self.depth + 1)]
        return [max(1, round(self.base_features * multiplier)) for multiplier in multipliers]

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        return DirectModel(self.network(shape), shape, inputs=self.inputs(shape))

    def changing(self, shape: Shape) -> ChangeModel:
        """The deterministic model of the change; untrained it is persistence."""
        change = self.change(shape)
        network = self.network(shape, outputs=change.outputs, zero=True)
        return ChangeModel(network, change, inputs=self.inputs(shape))

    def change(self, shape: Shape) -> Change:
        """What the output of a network that predicts a change means."""
        padding, features = edges(self.padding, shape), max(1, self.widths[0] // 2)
        return Change(shape, padding=padding, advection=self.advection, features=features)

    def equalizer(self, shape: Shape) -> Equalizer:
        """Of an error that is drawn."""
        return Equalizer(shape.untied, size=max(shape.height, shape.width), padding=edges(self.padding, shape))

    def inputs(self, shape: Shape) -> StackedInputs | ScaledInputs:
        """What makes a batch the network's input."""
        return ScaledInputs(shape, edges(self.padding, shape)) if self.scaled_inputs else StackedInputs(shape)

    def network(
        self,
        shape: Shape,
        *,
        channels: int | None = None,
        outputs: int | None = None,
        zero: bool = False,
        condition: Callable[[int], nn.Module] | None = None,
    ) -> Network:
        """The network.

        Args:
            shape: the data's.
            channels: that enter; None takes those of `inputs`.
            outputs: channels that leave; None makes them L * V.
            zero: its output begins as zero.
            condition: see `weatherml.nn.blocks.ResidualBlock`.
        """
        return Network(
            self.inputs(shape).channels if channels is None else channels,
            shape.lead * shape.predicted if outputs is None else outputs,
            widths=self.widths,
            blocks=self.blocks,
            padding=edges(self.padding, shape),
            dropout=self.dropout,
            attention=self.attention,
            zero=zero,
            norm=self.norm,
            condition=condition,
        )
