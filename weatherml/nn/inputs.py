"""What enters a convolutional network: history, known fields and static fields as channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from weatherml.fields import Batch, Fields, Shape
from weatherml.nn.padding import Padding, extend

STEEPEST = 10.0
"""Steps' changes: at the edge of missing values, which are 0, a slow variable differs by more."""


class StackedInputs(nn.Module):
    """One channel after another: T*C of history, L*K known and S static fields."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.channels = shape.inputs

    def forward(self, batch: Batch) -> Tensor:
        """(B, channels, H, W)."""
        return stacked(batch.history, batch)


class ScaledInputs(nn.Module):
    """Stacked inputs, with what makes a step's change in units of that change.

    A slow variable changes by a hundredth of its range in a step. What decides the change, its last changes and its
    differences between neighbours, would be as small beside it, and a network would have to learn to magnify
    them. Here the states but the last enter as changes since the one before, the last state once more as its
    difference from the mean of 3 x 3 points, all divided by the standard deviation of one step's change.
    """

    delta_std: Tensor

    def __init__(self, shape: Shape, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        self.channels = shape.inputs + shape.channels
        self.register_buffer("delta_std", torch.tensor(shape.delta_std).view(-1, 1, 1), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """(B, channels, H, W)."""
        last = batch.history[:, -1:]
        changes = self._in_steps(batch.history.diff(dim=1))
        detail = self._in_steps(last - smooth(last.flatten(1, 2), self.padding).view_as(last))
        return stacked(torch.cat([changes, last, detail], dim=1), batch)

    def _in_steps(self, differences: Fields) -> Fields:
        return (differences / self.delta_std).clamp(-STEEPEST, STEEPEST)


def smooth(fields: Tensor, padding: Padding) -> Tensor:
    """The mean of 3 x 3 points of (B, channels, H, W); beyond a bounded edge the field is mirrored."""
    for dim, mode in padding.axes:
        fields = extend(fields, 1, 1, dim=dim, mode="circular" if mode == "circular" else "reflect")
    return functional.avg_pool2d(fields, 3, stride=1)


def stacked(states: Fields, batch: Batch) -> Tensor:
    """(B, N, C, H, W) states as channels, and the batch's known and static fields after them."""
    static = batch.static.expand(len(states), -1, -1, -1)
    return torch.cat([states.flatten(1, 2), batch.forcing.flatten(1, 2), static], dim=1)
