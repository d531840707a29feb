"""The contract of a law of noise levels: which sigma in x = y + sigma n a network is trained at, and how often."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from weatherml.config import Config
from weatherml.registry import Registry

LEVELS: Registry[Levels] = Registry("levels")
MARGIN = 1e-9  # probabilities stay this far from 0 and 1, where quantiles are infinite


class Levels(Config, ABC):
    """A law of noise levels, by its quantiles.

    Attributes:
        stratified: draw one level from each of n equal shares of the law, in random order, instead of n
            independent ones: unbiased too, and the gradient varies less (Kingma et al. 2021, arXiv 2107.00630).
    """

    stratified: bool = True

    @abstractmethod
    def quantile(self, p: Tensor) -> Tensor:
        """The levels below which shares p, in (0, 1), of the draws fall."""

    def draw(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        """(count,) levels in float32 from torch's global random state, the same ones on every device."""
        p = torch.rand(count, dtype=torch.float64)
        if self.stratified:
            p = (torch.randperm(count) + p) / count
        return self.quantile(p.clamp(MARGIN, 1 - MARGIN)).float().to(device)
