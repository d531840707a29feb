"""Packed integers to normalised tensors and back, on any device: unpack, transform, z-score.

Transforms make skewed variables trainable: CAPE log1p(max(x, 0)), CIN sign(x) log1p|x|, REFC clipped at its
no-echo value; a root is for what lies between (`weatherml.data.likeliest`). Scores are never taken here:
`denormalise` returns physical units first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weatherml.data.packing import FILL, Packing
from weatherml.data.statistics import Statistics
from weatherml.fields import Fields
from weatherml.variables import Transform, Variable

Array = npt.NDArray[Any]
BEYOND = 0.1
"""How far a forecast may go beyond the extremes of training, in units of their difference, as transformed."""
ROUNDING = 1e-4
"""How near in standard deviations a value is to a bound to be at it."""
TIES = 0.01
"""The share of training's values at a bound from which on they are ties."""
ROWS = 32
"""Of a field looked up at once: with their indices, which numpy makes 64 bits wide, they stay in a core's cache."""


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


def _sqrt(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    above = x > 0  # the infinite slope at 0 times the square's would make a gradient that is no number
    return torch.where(above, torch.where(above, x, 1.0).sqrt(), torch.where(x.isnan(), x, 0.0))


def _square(x: Tensor, floor: float) -> Tensor:  # noqa: ARG001
    return x.clamp(0, 1e19).square()  # near the end of float32


def _signed_sqrt(x: Tensor, floor: float) -> Tensor:
    return x.sign() * _sqrt(x.abs(), floor)


def _signed_square(x: Tensor, floor: float) -> Tensor:
    return x.sign() * _square(x.abs(), floor)


def _clip(x: Tensor, floor: float) -> Tensor:
    return x.clamp_min(floor)


_PAIRS: dict[Transform, tuple[Callable[[Tensor, float], Tensor], Callable[[Tensor, float], Tensor]]] = {
    "none": (_identity, _identity),
    "log1p": (_log1p, _expm1),
    "signed_log1p": (_signed_log1p, _signed_expm1),
    "sqrt": (_sqrt, _square),
    "signed_sqrt": (_signed_sqrt, _signed_square),
    "clip": (_clip, _clip),
}


def transform(x: Tensor, variable: Variable) -> Tensor:
    """A variable's physical values as the statistics and the models see them, before the z-score."""
    return _PAIRS[variable.transform][0](x, variable.valid_min or 0.0)


def inverse(x: Tensor, variable: Variable) -> Tensor:
    """The inverse of `transform`."""
    return _PAIRS[variable.transform][1](x, variable.valid_min or 0.0)


@dataclass(frozen=True, kw_only=True)
class Tie:
    """A transformed value that many points share, and on which side of all others it lies: -1 below, 1 above."""

    value: float
    side: int


def tie(variable: Variable, zero_share: float) -> Tie | None:
    """The bound of a variable that training often met exactly: no rain, no echo, no inhibition. None where none is.

    A network blurs what is set apart by nothing: where it never rains it draws a little rain, and no sample is dry.
    Set off by a gap (so does pysteps with its `zerovalue`), ties are drawn as such, since all in the gap is the bound.

    Args:
        variable: tells the bounds.
        zero_share: of its transformed values in training.
    """
    floor = 0.0 if variable.transform in ("log1p", "sqrt") else variable.valid_min
    if variable.transform == "clip":
        return Tie(value=floor or 0.0, side=-1)  # how often they met is not counted there
    if zero_share < TIES:
        return None
    if floor == 0.0:
        return Tie(value=0.0, side=-1)
    return Tie(value=0.0, side=1) if variable.valid_max == 0.0 else None


def ties(variables: Sequence[Variable], statistics: Statistics) -> list[Tie | None]:
    """Those of all variables of a dataset."""
    return [tie(*each) for each in zip(variables, statistics.zero_share, strict=True)]


class Normaliser(nn.Module):
    """Between a store's packed fields and a model's normalised ones; C channels by position.

    A variable that never varies in training keeps std 1, so that nothing is divided by zero.

    Args:
        variables: the channels, in order.
        packings: how their fields are stored.
        statistics: of their transformed values in training.
        gap: standard deviations by which ties are set off, beyond their bound; see `tie`.
    """

    def __init__(
        self, variables: Sequence[Variable], packings: Sequence[Packing], statistics: Statistics, *, gap: float = 0.0
    ) -> None:
        super().__init__()
        self.variables = tuple(variables)
        self._channel = {variable.name: index for index, variable in enumerate(variables)}
        self.register_buffer("scale", _column([packing.scale_factor for packing in packings]))
        self.register_buffer("offset", _column([packing.add_offset for packing in packings]))
        self.register_buffer("mean", _column(statistics.mean))
        self.register_buffer("std", _column(np.where(statistics.std > 0, statistics.std, 1.0)))
        self.register_buffer("low", _column([_or(variable.valid_min, -np.inf) for variable in variables]))
        self.register_buffer("high", _column([_or(variable.valid_max, np.inf) for variable in variables]))
        tied = ties(variables, statistics) if gap else [None] * len(variables)
        self.ties = any(tied)
        self.register_buffer("tied", _column([at.value if at else np.nan for at in tied]))
        apart = gap * statistics.std * [at.side if at else 0 for at in tied]
        self.register_buffer("apart", _column(apart))
        varied = statistics.max > statistics.min  # what was never there goes from inf to -inf
        reach = BEYOND * (statistics.max - statistics.min)
        self.register_buffer("least", _column(np.where(varied, statistics.min - reach + apart.clip(max=0), -np.inf)))
        self.register_buffer("greatest", _column(np.where(varied, statistics.max + reach + apart.clip(min=0), np.inf)))

    scale: Tensor
    offset: Tensor
    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    tied: Tensor
    apart: Tensor
    least: Tensor
    greatest: Tensor

    def unpack(self, packed: Tensor) -> Fields:
        """(..., C, H, W) int16 to physical float32, NaN where missing."""
        return torch.where(packed == int(FILL), torch.nan, packed * self.scale + self.offset)

    def normalise(self, physical: Fields) -> Fields:
        """(..., C, H, W) physical to normalised; NaN stays."""
        raw = torch.stack([transform(physical[..., c, :, :], v) for c, v in enumerate(self.variables)], dim=-3)
        if self.ties:
            near = (raw - self.tied).abs() <= ROUNDING * self.std
            raw = torch.where(near, self.tied + self.apart, raw)
        return (raw - self.mean) / self.std

    def denormalise(self, normalised: Fields) -> Fields:
        """(..., C, H, W) normalised to physical, within the variables' valid ranges.

        Bounded are each variable by its range and by the one that it cannot exceed (dew point by
        temperature); NaN stays.
        """
        return self._physical(self._transformed(normalised))

    def _transformed(self, normalised: Fields) -> Fields:
        raw = normalised.float() * self.std + self.mean
        return torch.where(raw.isfinite(), raw, torch.nan)  # an overflow must stay visible, not become a bound

    def _physical(self, raw: Fields) -> Fields:
        inverted = torch.stack([inverse(raw[..., c, :, :], v) for c, v in enumerate(self.variables)], dim=-3)
        channels = list(inverted.clamp(self.low, self.high).unbind(-3))
        for c, variable in enumerate(self.variables):
            above = self._channel.get(variable.not_above or "")
            if above is not None:
                channels[c] = torch.minimum(channels[c], channels[above])
        return torch.stack(channels, dim=-3)

    def forecast(self, normalised: Fields) -> Fields:
        """A model's normalised states to physical ones, near what training saw.

        Beyond its extremes by more than a tenth of their difference a network knows nothing, and what it makes of one
        such point may grow from step to step, in logarithms to any size. What is not finite stays visible.
        """
        return self._physical(self._transformed(normalised).clamp(self.least, self.greatest))

    def bounded(self, normalised: Fields) -> Fields:
        """Normalised states brought within the bounds of a forecast: what a rollout feeds back."""
        return self.normalise(self.forecast(normalised))


def lookup_tables(normaliser: Normaliser) -> Tensor:
    """(C, 65536) the normalised value of every packed integer, found at its bits read unsigned; 0 for a missing one.

    A look-up does for any transform what takes arithmetic many passes, to the same bits and alike on all devices.
    """
    C, device = len(normaliser.variables), normaliser.mean.device
    every = torch.from_numpy(np.arange(1 << 16, dtype=np.uint16).view(np.int16)).to(device)
    values = normaliser.normalise(normaliser.unpack(every.expand(C, 1, -1)))
    return torch.where(every == int(FILL), 0.0, values).view(C, -1)


def looked_up(tables: Tensor, packed: Tensor) -> tuple[Fields, Tensor]:
    """The normalised fields (..., C, H, W) of packed ones on the tables' device, and where they are known."""
    if packed.device.type != "cpu":
        return by_index(tables, packed), packed != int(FILL)
    values = packed.numpy()
    return torch.from_numpy(by_rows(tables.numpy(), values)), torch.from_numpy(values != FILL)


def by_index(tables: Tensor, packed: Tensor) -> Fields:
    """`looked_up` where memory is fast and passes cost little."""
    channels = packed.unbind(-3)
    return torch.stack([table[x.int() & 0xFFFF] for table, x in zip(tables, channels, strict=True)], dim=-3)


def by_rows(tables: Array, packed: Array) -> Array:
    """`looked_up` in a processor's cache."""
    out = np.empty(packed.shape, np.float32)  # numpy asks for huge pages, torch does not: a fifth of the time
    for place in np.ndindex(packed.shape[:-2]):
        table, field, target = tables[place[-1]], packed[place].view(np.uint16), out[place]
        for row in range(0, len(field), ROWS):
            table.take(field[row : row + ROWS], out=target[row : row + ROWS], mode="clip")  # others go by a copy
    return out


def delta_scale(statistics: Statistics) -> tuple[float, ...]:
    """(C,) the std of a one-step change in normalised units; 1 where nothing changes."""
    std = np.where(statistics.std > 0, statistics.std, 1.0)
    delta = np.where(statistics.delta_std > 0, statistics.delta_std, std)
    return tuple(float(value) for value in delta / std)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _column(values: Sequence[float] | Array) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32)).view(-1, 1, 1)
