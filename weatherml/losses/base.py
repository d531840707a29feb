"""The contract of a loss: normalised prediction and target to one number, weighted and masked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from weatherml.config import Config
from weatherml.fields import Fields
from weatherml.nn.tally import Tally
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
        physical: makes what brings (B, L, C, H, W) normalised fields to physical units, each over its one-step change,
            and to 0 where a variable is learnt in them; None where that is not known.
    """

    scale: Tensor
    variable: Tensor
    rows: Tensor
    physical: Callable[[], nn.Module] | None = None


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
        self.tally = Tally(2, len(weights.variable))

    def forward(self, prediction: Fields, target: Fields, mask: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean weighted loss over the points where `mask` is True; a scalar in float32.

        With weights of the cases, (B,), it is the mean over cases of each one's weight times its own loss: a sum over
        cases, so that importance weights give it the same expectation however many cases are drawn.
        """
        fields = prediction, target, mask
        parts = self.parts(*fields) if weight is None else self._of_cases(*fields, weight)
        if torch.is_grad_enabled():  # validation does not count
            self.tally.sums += torch.stack([parts.detach(), torch.ones_like(parts)])
        return parts.sum()

    def _of_cases(self, prediction: Fields, target: Fields, mask: Tensor, weight: Tensor) -> Tensor:
        members = len(prediction) // len(target)
        each = zip(torch.split(prediction, members), torch.split(target, 1), torch.split(mask, 1), strict=True)
        return (weight.view(-1, 1) * torch.stack([self.parts(*case) for case in each])).mean(0)

    @abstractmethod
    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) what each variable adds to the loss; in float32."""

    def contributions(self) -> Tensor:
        """(C,) what each variable added to the loss, the mean of training's calls since this was last asked.

        It stays on the device: only who reads the numbers waits for them.
        """
        parts, calls = self.tally.take().unbind()
        return parts / calls.clamp_min(1)

    def error(self, prediction: Fields, target: Fields, mask: Tensor) -> Fields:
        """The error in units of a one-step change, 0 where masked, in float32 or better."""
        return torch.where(mask, precise(prediction) - precise(target), 0.0) / self.scale

    def weight(self, mask: Tensor) -> Tensor:
        """The weight of each point, by area and variable; 0 where masked."""
        return mask * (self.rows * self.variable)

    def mean(self, values: Fields, mask: Tensor) -> Tensor:
        """(C,) what each variable adds to the mean over unmasked points, weighted by area and variable."""
        return shares(values, self.weight(mask))


class FieldLoss(LossModule):
    """A sum of means over the points of all variables: they may be added up variable by variable."""

    def parts(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(C,) shares in the sum of the means."""
        return means(self.sums(prediction, target, mask))

    @abstractmethod
    def sums(self, prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        """(K, 2, C): of each of K means the sums over each variable's points, and those of the weights."""


def means(sums: Tensor) -> Tensor:
    """(C,) what each variable adds to the sum of K means, from (K, 2, C)."""
    totals, weights = sums.unbind(1)
    return ratio(totals, weights.sum(-1, keepdim=True)).sum(0)


def weighted(values: Fields, weight: Tensor) -> Tensor:
    """(2, C): the sums of (B, L, C, ...) values by their weights, and of the weights."""
    others = [dim for dim in range(values.ndim) if dim != 2]
    return torch.stack([(values * weight).sum(others), weight.sum(others)])


def shares(values: Fields, weight: Tensor) -> Tensor:
    """(C,) what each variable of (B, L, C, ...) values adds to their weighted mean."""
    others = [dim for dim in range(values.ndim) if dim != 2]
    return ratio((values * weight).sum(others), weight.sum())


def precise(x: Tensor) -> Tensor:
    """In float32 at least, also under autocast."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def ratio(total: Tensor, weight: Tensor) -> Tensor:
    """A mean from its sums: 0 where nothing is known."""
    return total / weight.clamp_min(1e-12)
