"""Packed integers to normalised tensors and back, on any device: unpack, transform, z-score.

Transforms make skewed variables trainable: CAPE log1p(max(x, 0)), CIN sign(x) log1p|x|, REFC clipped at
its no-echo value. Scores are never taken here: `denormalise` returns physical units first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from weatherml.data.packing import FILL, Packing
from weatherml.data.statistics import Statistics
from weatherml.fields import Fields
from weatherml.variables import Transform, Variable


def _identity(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001 - the shape of all transforms
    return x


def _log1p(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    return x.clamp_min(0).log1p()


def _expm1(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    return x.clamp_max(80).expm1().clamp_min(0)  # exp(80) is near the end of float32


def _signed_log1p(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    return x.sign() * x.abs().log1p()


def _signed_expm1(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    return x.sign() * x.abs().clamp_max(80).expm1()


def _clip(x: Tensor, floor: float) -> Tensor:
    return x.clamp_min(floor)


_PAIRS: dict[Transform, tuple[Callable[[Tensor, float], Tensor], Callable[[Tensor, float], Tensor]]] = {
    "none": (_identity, _identity),
    "log1p": (_log1p, _expm1),
    "signed_log1p": (_signed_log1p, _signed_expm1),
    "clip": (_clip, _clip),
}


def transform(x: Tensor, variable: Variable) -> Tensor:
    """A variable's physical values as the statistics and the models see them, before the z-score."""
    return _PAIRS[variable.transform][0](x, variable.valid_min or 0.0)


def inverse(x: Tensor, variable: Variable) -> Tensor:
    """The inverse of `transform`."""
    return _PAIRS[variable.transform][1](x, variable.valid_min or 0.0)


class Normaliser(nn.Module):
    """Between a store's packed fields and a model's normalised ones; C channels by position.

    A variable that never varies in training keeps std 1, so that nothing is divided by zero.
    """

    def __init__(self, variables: Sequence[Variable], packings: Sequence[Packing], statistics: Statistics) -> None:
        super().__init__()
        self.variables = tuple(variables)
        self._channel = {variable.name: index for index, variable in enumerate(variables)}
        self.register_buffer("scale", _column([packing.scale_factor for packing in packings]))
        self.register_buffer("offset", _column([packing.add_offset for packing in packings]))
        self.register_buffer("mean", _column(statistics.mean))
        self.register_buffer("std", _column(np.where(statistics.std > 0, statistics.std, 1.0)))
        self.register_buffer("low", _column([_or(variable.valid_min, -np.inf) for variable in variables]))
        self.register_buffer("high", _column([_or(variable.valid_max, np.inf) for variable in variables]))

    scale: Tensor
    offset: Tensor
    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def unpack(self, packed: Tensor) -> Fields:
        """(..., C, H, W) int16 to physical float32, NaN where missing."""
        return torch.where(packed == int(FILL), torch.nan, packed * self.scale + self.offset)

    def normalise(self, physical: Fields) -> Fields:
        """(..., C, H, W) physical to normalised; NaN stays."""
        channels = [transform(physical[..., c, :, :], v) for c, v in enumerate(self.variables)]
        return (torch.stack(channels, dim=-3) - self.mean) / self.std

    def denormalise(self, normalised: Fields) -> Fields:
        """(..., C, H, W) normalised to physical, within the variables' valid ranges.

        Bounded are each variable by its range and by the one that it cannot exceed (dew point by
        temperature); NaN stays.
        """
        raw = normalised.float() * self.std + self.mean
        raw = torch.where(raw.isfinite(), raw, torch.nan)  # an overflow must stay visible, not become a bound
        inverted = torch.stack([inverse(raw[..., c, :, :], v) for c, v in enumerate(self.variables)], dim=-3)
        channels = list(inverted.clamp(self.low, self.high).unbind(-3))
        for c, variable in enumerate(self.variables):
            above = self._channel.get(variable.not_above or "")
            if above is not None:
                channels[c] = torch.minimum(channels[c], channels[above])
        return torch.stack(channels, dim=-3)

    def bounded(self, normalised: Fields) -> Fields:
        """Normalised fields brought within the valid ranges: what a rollout feeds back."""
        return self.normalise(self.denormalise(normalised))


def delta_scale(statistics: Statistics) -> tuple[float, ...]:
    """(C,) the std of a one-step change in normalised units; 1 where nothing changes."""
    std = np.where(statistics.std > 0, statistics.std, 1.0)
    delta = np.where(statistics.delta_std > 0, statistics.delta_std, std)
    return tuple(float(value) for value in delta / std)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _column(values: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32)).view(-1, 1, 1)
