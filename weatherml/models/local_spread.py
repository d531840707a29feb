"""How far a deterministic forecast is expected to err at each place, learnt beside it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weatherml.fields import Fields, Shape
from weatherml.nn.blocks import Conv
from weatherml.nn.inputs import ScaledInputs, StackedInputs
from weatherml.nn.padding import Padding

WIDTH = 32
FOLD = 3.0
"""A place's spread lies between the whole's over this and times this."""


class LocalSpread(nn.Module):
    """The standard deviation of a forecast's error at each place, over that of the whole field.

    What is divided by it spreads alike where storms are and where none is, and a network for its law need not learn
    that too. Of variables with ties the place changes nothing: where a shower comes or does not, a standard deviation
    tells little of the error, and showers where few come would be outliers of it, by which a network would learn.

    Args:
        shape: the data's.
        inputs: what makes a batch what the convolutions read beside the forecast.
        padding: beyond the edges.
    """

    untied: Tensor

    def __init__(self, shape: Shape, inputs: StackedInputs | ScaledInputs, *, padding: Padding) -> None:
        super().__init__()
        fields = shape.lead * shape.channels
        self.network = nn.Sequential(
            Conv(fields + inputs.channels, WIDTH, padding=padding),
            nn.SiLU(),
            Conv(WIDTH, WIDTH, padding=padding),
            nn.SiLU(),
            Conv(WIDTH, fields, padding=padding, zero=True),
        )
        self.register_buffer("untied", shape.untied, persistent=False)

    def forward(self, forecast: Fields, inputs: Tensor) -> Fields:
        """(B, L, C, H, W) in float32; 1 before training.

        Args:
            forecast: (B, L, C, H, W), normalised.
            inputs: (B, inputs.channels, H, W).
        """
        read: Tensor = self.network(torch.cat([forecast.detach().flatten(1, 2), inputs], dim=1))
        return (math.log(FOLD) * self.untied * read.float().tanh()).exp().view(forecast.shape)


def normal_surprise(error: Fields, spread: Fields, counts: Tensor) -> Tensor:
    """-ln p of normal errors, less a constant: the mean over points by what they count; least of the right `spread`."""
    each = 0.5 * (error / spread).square() + spread.log()
    return (each * counts).sum() / counts.expand_as(each).sum().clamp_min(1)
