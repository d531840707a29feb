"""The contract of a loss: normalised prediction and target to one number, weighted and masked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from weatherml.config import Config
from weatherml.fields import Fields
from weatherml.registry import Registry

LOSSES: Registry[LossConfig] = Registry("losses")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What an error counts.

    Attributes:
        scale: (C,), the unit of an error for each variable: the std of its one-step change, in normalised
            units, so that slow and fast variables count alike.
        variable: (C,), the user's weights, mean 1.
        rows: (H,), area weights, mean 1: cos(latitude) on latitude-longitude grids.
    """

    scale: Tensor
    variable: Tensor
    rows: Tensor


class LossConfig(Config, ABC):
    """Parameters of a loss.

    Attributes:
        compares_members: whether it wants several members of each case.
        logits: whether it reads the prediction as logits of an event, and the target as 0 or 1.
    """

    compares_members: ClassVar[bool] = False
    logits: ClassVar[bool] = False

    @abstractmethod
    def build(self, weights: Weights) -> LossModule:
        """The loss with these weights, a module so that they follow it to the device."""


class LossModule(nn.Module, ABC):
    """A loss on (B, L, C, H, W) fields.

    Attributes:
        members: forecasts of each case that it compares with the truth and each other: B is that of the target,
            and the prediction has `members` rows for each of its rows, side by side.
    """

    members: int = 1
    scale: Tensor
    variable: Tensor
    rows: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("scale", weights.scale.view(-1, 1, 1), persistent=False)
        self.register_buffer("variable", weights.variable.view(-1, 1, 1), persistent=False)
        self.register_buffer("rows", weights.rows.view(-1, 1), persistent=False)

    @abstractmethod
    def forward(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """The mean weighted loss over the points where `mask` is True; a scalar in float32."""

    def error(self, prediction: Fields, target: Fields, mask: Tensor) -> Fields:
        """The error in units of a one-step change, 0 where masked, in float32 or better."""
        return torch.where(mask, precise(prediction) - precise(target), 0.0) / self.scale

    def weight(self, mask: Tensor) -> Tensor:
        """The weight of each point, by area and variable; 0 where masked."""
        return mask * (self.rows * self.variable)

    def mean(self, values: Fields, mask: Tensor) -> Tensor:
        """The mean over unmasked points, weighted by area and variable."""
        weight = self.weight(mask)
        return ratio((values * weight).sum(), weight.sum())


def precise(x: Tensor) -> Tensor:
    """In float32 at least, also under autocast."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def ratio(total: Tensor, weight: Tensor) -> Tensor:
    """A mean from its sums: 0 where nothing is known."""
    return total / weight.clamp_min(1e-12)
