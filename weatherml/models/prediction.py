"""What a network's output means: the next states themselves, or their change."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import Model
from weatherml.nn.inputs import StackedInputs


class DirectModel(Model):
    """The network predicts the next states.

    Args:
        network: from (B, inputs, H, W) to (B, L*C, H, W).
        shape: the data's.
        inputs: what makes a batch the network's input; None stacks it.
    """

    def __init__(self, network: nn.Module, shape: Shape, *, inputs: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.inputs = inputs or StackedInputs(shape)
        self.lead, self.channels = shape.lead, shape.channels

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W) in float32."""
        out: Tensor = self.network(self.inputs(batch))
        return out.float().view(len(out), self.lead, self.channels, *out.shape[-2:])


class ChangeModel(DirectModel):
    """The network predicts the change since the last state: x + scale * f, L steps from the same x."""

    scale: Tensor

    def __init__(self, network: nn.Module, shape: Shape, *, inputs: nn.Module | None = None) -> None:
        super().__init__(network, shape, inputs=inputs)
        self.register_buffer("scale", change_scale(shape), persistent=False)

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W); added in float32 also under autocast."""
        return changed(batch, self.scale, self.network(self.inputs(batch)))


def changed(batch: Batch, scale: Tensor, output: Tensor) -> Fields:
    """x + scale * f, f a network's output (B, L*C, H, W); (B, L, C, H, W)."""
    change = output.float().view(len(output), *scale.shape[:2], *output.shape[-2:])
    return batch.history[:, -1:].float() + scale * change


def change_scale(shape: Shape) -> Tensor:
    """(L, C, 1, 1), about the standard deviation of the change after 1 to L steps, in normalised units.

    One step's grows with the root of the steps, as of a random walk, to sqrt(2), that of two independent states.
    """
    one = torch.tensor(shape.delta_std)
    steps = torch.arange(1, shape.lead + 1).sqrt().unsqueeze(1)
    return torch.maximum((one * steps).clamp_max(math.sqrt(2)), one)[..., None, None]
