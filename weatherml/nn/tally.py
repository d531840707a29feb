"""Sums that training shows now and then."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tally(nn.Module):
    """Sums that stay on the device until they are read: only who reads waits for them.

    They are no part of the weights, but a checkpoint to train on from keeps them.

    Args:
        shape: of the sums.
    """

    sums: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(shape), persistent=False)

    def take(self) -> Tensor:
        """The sums since the last call; they begin anew."""
        taken = self.sums.clone()
        self.sums.zero_()
        return taken


def tallies(*modules: nn.Module) -> list[Tally]:
    """All that are within, in a fixed order."""
    return [part for module in modules for part in module.modules() if isinstance(part, Tally)]
