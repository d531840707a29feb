"""What enters a convolutional network: history, known fields and static fields as channels."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.fields import Batch


def stack_inputs(batch: Batch) -> Tensor:
    """One channel after another, (B, T*C + L*K + S, H, W), as `Shape.inputs` counts them."""
    static = batch.static.expand(len(batch.history), -1, -1, -1)
    return torch.cat([batch.history.flatten(1, 2), batch.forcing.flatten(1, 2), static], dim=1)
