"""Convolutional LSTM (Shi et al. 2015, arXiv 1506.04214), without the peepholes: memory at each point of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from weatherml.nn.blocks import Conv
from weatherml.nn.padding import Padding

State: TypeAlias = tuple[Tensor, Tensor]
"""The hidden state h and the memory c, each (B, hidden, H, W)."""


class ConvLSTMCell(nn.Module):
    """One step: a single convolution of [x, h] gives the gates i, f, o and the candidate g.

    Args:
        inputs: channels of x.
        hidden: channels of h and c.
        kernel: odd width.
        bias: of the convolution.
        padding: beyond the edges.
    """

    def __init__(self, inputs: int, hidden: int, kernel: int = 3, *, bias: bool = True, padding: Padding) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = Conv(inputs + hidden, 4 * hidden, kernel, padding=padding)
        if not bias:
            self.gates.bias = None

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """From x (B, inputs, H, W), c' = f c + i g and h' = o tanh(c'); the state before the first step is 0."""
        i, f, o, g = self._gates(x, None if state is None else state[0]).chunk(4, dim=1)
        c = i.sigmoid() * g.tanh()
        if state is not None:
            c = f.sigmoid() * state[1] + c
        return o.sigmoid() * c.tanh(), c

    def _gates(self, x: Tensor, h: Tensor | None) -> Tensor:
        """The convolution of [x, h]; of x alone while h is 0, which at three steps saves a quarter of the work."""
        if h is None:
            return self.gates.convolve(x, self.gates.weight[:, : x.shape[1]])
        gates: Tensor = self.gates(torch.cat([x, h], dim=1))
        return gates


class ConvLSTM(nn.Module):
    """Cells one on another: each reads the hidden states of the one below, step by step.

    Args:
        inputs: channels of a step.
        hidden: channels of each layer.
        kernels: odd width of each layer's convolution.
        bias: of the convolutions.
        padding: beyond the edges.
        norm: batch norm of each layer's output at each step; what the layer itself remembers stays as it is. Its
            statistics are of all steps together: those of a first step, from an empty memory, are no one else's.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        kernels: Sequence[int],
        *,
        bias: bool = True,
        padding: Padding,
        norm: bool = False,
    ) -> None:
        super().__init__()
        layers = zip((inputs, *hidden[:-1]), hidden, kernels, strict=True)
        self.cells = nn.ModuleList(ConvLSTMCell(*layer, bias=bias, padding=padding) for layer in layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) if norm else nn.Identity() for width in hidden)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, S, inputs, H, W) to the last layer's last hidden state, (B, hidden[-1], H, W)."""
        for cell, norm in zip(self.cells, self.norms, strict=True):
            states = unrolled(cell, x)
            x = norm(states.flatten(0, 1)).view_as(states)
        return x[:, -1]


def unrolled(cell: nn.Module, x: Tensor) -> Tensor:
    """The hidden states of a cell over the steps of x (B, S, C, H, W), (B, S, hidden, H, W)."""
    states: list[Tensor] = []
    state: State | None = None
    for step in x.unbind(1):
        state = cell(step, state)
        states.append(state[0])
    return torch.stack(states, dim=1)
