"""The noise levels of a cosine schedule in continuous time."""

from __future__ import annotations

import math

from torch import Tensor

from weatherml.diffusion.levels.base import LEVELS, Levels


@LEVELS.register("sech")
class Sech(Levels):
    """u = ln sigma has the density sech(u - mean) / pi: sigma = e^mean tan(pi t / 2), t uniform.

    Attributes:
        mean: of ln sigma; 0 is the cosine schedule, above 0 is more noise (Hoogeboom et al. 2023, arXiv 2301.11093).
    """

    mean: float = 0.0

    def quantile(self, p: Tensor) -> Tensor:
        """The levels below which shares p of the draws fall."""
        return math.exp(self.mean) * (p * math.pi / 2).tan()
