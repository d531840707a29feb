"""What a network's output means: the next states themselves, or their change."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import Model
from weatherml.nn.advection import carry
from weatherml.nn.blocks import Activated, Conv
from weatherml.nn.inputs import StackedInputs
from weatherml.nn.padding import Padding

FOLDS = 2.0
"""A change is multiplied by e to at most this power where it arrives, and to no less than minus this."""


class Change(nn.Module):
    """From a network's output to the next states: x + scale * f, L steps from the same x.

    With advection, x is first carried by flows that the network gives too, one of all variables and beside it what
    each departs from it: what merely moves need not be drawn anew point by point, and what one variable shows of the
    flow the others need not find for themselves. What happens to it on the way, its growth and decay, is a matter of
    the place where it arrives: a few convolutions there read it, and features from the network, and add to f. Others
    read it alone and multiply f, since a change, and how far it is known, grows with what is there. An output of zero
    is persistence at first.

    Args:
        shape: the data's.
        padding: beyond the edges; only advection asks.
        advection: cells that the flow carries for one unit of output; 0 is none.
        features: channels from the network to where x arrives; only advection asks.

    Attributes:
        outputs: channels of the network: L*C of f, and with advection 2*L of the flow and 2*L*C of the departures
            after them, y before x, and the features.
    """

    scale: Tensor

    def __init__(
        self, shape: Shape, *, padding: Padding | None = None, advection: float = 0.0, features: int = 16
    ) -> None:
        super().__init__()
        self.padding, self.advection = padding or Padding(), advection
        fields = shape.lead * shape.channels
        self.outputs = fields + (2 * shape.lead + 2 * fields + features if advection else 0)
        self.arrival = self._convolutions(fields + features, fields, 2 * features) if advection else None
        self.growth = self._convolutions(fields, fields, 2 * features) if advection else None
        self.register_buffer("scale", change_scale(shape), persistent=False)

    def forward(self, batch: Batch, output: Tensor, beside: Tensor | float = 0.0) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W); in float32 also under autocast.

        Args:
            batch: what is known.
            output: the network's, (B, outputs, H, W).
            beside: is added to f, (B, L*C, H, W).
        """
        last, fields = batch.history[:, -1:].float(), output.float()
        L, C = self.scale.shape[:2]
        size = (len(fields), L, C, *fields.shape[-2:])
        if self.arrival is not None and self.growth is not None:
            ends = [L * C, L * C + 2 * L, 3 * L * C + 2 * L]
            fields, common, departures, features = fields.tensor_split(ends, dim=1)
            flow = common.reshape(-1, L, 1, 2, *size[-2:]) + departures.reshape(-1, L, C, 2, *size[-2:])
            last = carry(last.expand(size).flatten(0, 2), self.advection * flow.flatten(0, 2), self.padding).view(size)
            arrived = last.flatten(1, 2)
            growth = self.growth(arrived).float().clamp(-FOLDS, FOLDS).exp()
            fields = growth * (fields + beside) + self.arrival(torch.cat([arrived, features], dim=1))
        else:
            fields = fields + beside
        return last + self.scale * fields.reshape(size)

    def _convolutions(self, inputs: int, outputs: int, width: int) -> nn.Module:
        """Two, 0 at first."""
        inward = Conv(inputs, width, padding=self.padding)
        return Activated(inward, nn.SiLU(), Conv(width, outputs, padding=self.padding, zero=True))


class DirectModel(Model):
    """The network predicts the next states.

    Args:
        network: from (B, inputs, H, W) to (B, L*V, H, W).
        shape: the data's.
        inputs: what makes a batch the network's input; None stacks it.
    """

    def __init__(self, network: nn.Module, shape: Shape, *, inputs: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.inputs = inputs or StackedInputs(shape)
        self.lead, self.predicted = shape.lead, shape.predicted

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, V, H, W) in float32."""
        out: Tensor = self.network(self.inputs(batch))
        return out.float().view(len(out), self.lead, self.predicted, *out.shape[-2:])


class ChangeModel(Model):
    """The network predicts the change since the last state.

    Args:
        network: from (B, inputs, H, W) to (B, outputs, H, W).
        change: what its output means.
        inputs: what makes a batch the network's input.
    """

    def __init__(self, network: nn.Module, change: Change, *, inputs: nn.Module) -> None:
        super().__init__()
        self.network, self.change, self.inputs = network, change, inputs

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W) in float32."""
        states: Fields = self.change(batch, self.network(self.inputs(batch)))
        return states


def change_scale(shape: Shape) -> Tensor:
    """(L, C, 1, 1), about the standard deviation of the change after 1 to L steps, in normalised units.

    One step's grows with the root of the steps, as of a random walk, to sqrt(2), that of two independent states.
    """
    one = torch.tensor(shape.delta_std)
    steps = torch.arange(1, shape.lead + 1).sqrt().unsqueeze(1)
    return torch.maximum((one * steps).clamp_max(math.sqrt(2)), one)[..., None, None]
