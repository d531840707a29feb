"""What a network's output means: the next states themselves, or their change."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import Model
from weatherml.nn.inputs import stack_inputs


class DirectModel(Model):
    """The network predicts the next states.

    Args:
        network: from (B, inputs, H, W) to (B, L*C, H, W).
        shape: the data's.
    """

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.network = network
        self.lead, self.channels = shape.lead, shape.channels

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W) in float32."""
        out: Tensor = self.network(stack_inputs(batch))
        return out.float().view(len(out), self.lead, self.channels, *out.shape[-2:])


class ChangeModel(DirectModel):
    """The network predicts the change since the last state: x + delta_std * f, L steps from the same x."""

    delta_std: Tensor

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        super().__init__(network, shape)
        self.register_buffer("delta_std", torch.tensor(shape.delta_std).view(-1, 1, 1), persistent=False)

    def forward(self, batch: Batch) -> Fields:
        """The states at the batch's valid times, (B, L, C, H, W); added in float32 also under autocast."""
        return batch.history[:, -1:].float() + self.delta_std * super().forward(batch)
