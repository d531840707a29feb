"""Log-normal noise levels."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat
from torch import Tensor

from weatherml.diffusion.levels.base import LEVELS, Levels


@LEVELS.register("log-normal")
class LogNormal(Levels):
    """ln sigma is normal (Karras et al. 2022, arXiv 2206.00364, table 1).

    Attributes:
        mean: of ln sigma.
        std: of ln sigma.
    """

    mean: float = -1.2
    std: PositiveFloat = 1.2

    def quantile(self, p: Tensor) -> Tensor:
        """The levels below which shares p of the draws fall."""
        normal: Tensor = torch.special.ndtri(p)
        return (self.mean + self.std * normal).exp()
