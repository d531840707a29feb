"""The glossary of shapes, and the batch that every task trains on.

Shape letters, used everywhere:

    B  cases in a batch          T  states of history, oldest first
    L  lead times                M  ensemble members
    C  channels (variables)      K  known fields at the valid time (sun, hour, day)
    S  static fields             H, W  rows and columns of the grid
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import torch
from torch import Tensor

Fields: TypeAlias = Tensor
Noise: TypeAlias = Callable[[Sequence[int]], Tensor]
"""A shape (B, ...) to standard normal numbers, on the model's device; each row is a stream of its own."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Normalised tensors of B cases, on one device.

    Attributes:
        history: (B, T, C, H, W), the last T states; missing values are 0, the training mean.
        forcing: (B, L, K, H, W), known fields at each valid time.
        static: (S, H, W), fields that do not change, shared by the cases.
        valid_time: (B, L) int64, seconds since 1970-01-01 UTC.
        target: (B, L, C, H, W), the states to predict; None when forecasting.
        mask: (B, L, C, H, W) bool, True where target and last state are both known; None when forecasting.
        weight: (B,), what each case counts in the loss, where cases are drawn with unlike probabilities; else None.
    """

    history: Fields
    forcing: Fields
    static: Fields
    valid_time: Tensor
    target: Fields | None = None
    mask: Tensor | None = None
    weight: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with `function` applied to every tensor in it."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: function(tensor) for name, tensor in tensors.items() if tensor is not None})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a model must fit: sizes, and the scale of one step's change.

    Attributes:
        channels: C, that enter at each step; a forecast has as many out.
        history: T.
        lead: L, the states predicted by one call.
        forcing: K.
        static: S.
        height: H.
        width: W.
        delta_std: (C,), the standard deviation of the one-step change, in normalised units.
        periodic_x: the columns go round the globe.
        tied: (C,), whether many points share a bound (no rain), see `weatherml.data.transforms.tie`; empty: none.
        names: (C,), the channels' names where they are known.
        targets: V, the variables to predict where they are others than those that enter; None for a forecast.
    """

    channels: int
    history: int = 1
    lead: int = 1
    forcing: int = 0
    static: int = 0
    height: int
    width: int
    delta_std: tuple[float, ...]
    periodic_x: bool = False
    tied: tuple[bool, ...] = ()
    names: tuple[str, ...] = ()
    targets: int | None = None

    @property
    def untied(self) -> Tensor:
        """(L*C, 1, 1): 1 for variables without ties, 0 for those with."""
        tied = torch.tensor(self.tied or (False,) * self.channels)
        return (~tied).float().repeat(self.lead).view(-1, 1, 1)

    @property
    def predicted(self) -> int:
        """The variables of one predicted state."""
        return self.channels if self.targets is None else self.targets

    @property
    def inputs(self) -> int:
        """Channels that enter a convolutional network: history, known and static fields stacked."""
        return self.history * self.channels + self.lead * self.forcing + self.static
