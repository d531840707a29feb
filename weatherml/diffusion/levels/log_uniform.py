"""Log-uniform noise levels."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from weatherml.diffusion.levels.base import LEVELS, Levels


@LEVELS.register("log-uniform")
class LogUniform(Levels):
    """ln sigma is uniform.

    Attributes:
        low: the least level.
        high: the greatest.
    """

    low: PositiveFloat = 0.02
    high: PositiveFloat = 80.0

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self

    def quantile(self, p: Tensor) -> Tensor:
        """The levels below which shares p of the draws fall."""
        return self.low * torch.pow(self.high / self.low, p)
