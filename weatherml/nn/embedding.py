"""A noise level as a vector that conditions every block."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FREQUENCIES = 16


class LevelEmbedding(nn.Module):
    """Sines and cosines of a level's logarithm, then two linear layers (Song et al. 2021, arXiv 2011.13456).

    The frequencies are fixed, from a quarter to 16 radians a unit of c_noise: neighbours in a sampler's levels
    stay apart, and nothing is finer than they are.

    Args:
        width: E.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        spread = torch.linspace(math.log(0.25), math.log(16), FREQUENCIES).exp()
        self.register_buffer("frequencies", spread, persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, c_noise: Tensor) -> Tensor:
        """(B,) to (B, E, 1, 1)."""
        angle = c_noise[:, None] * self.frequencies
        vector: Tensor = self.layers(torch.cat([angle.cos(), angle.sin()], dim=1))
        return vector[..., None, None]
