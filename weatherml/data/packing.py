"""Physical values to int16 and back: value = packed * scale_factor + add_offset, the step a power of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.variables import Variable

Array = npt.NDArray[Any]
FILL = np.int16(-32768)
LARGEST = 32767
BLOCK = 1 << 16  # values at a time: all passes over them stay in the cache, three times faster


@dataclass(frozen=True, kw_only=True)
class Packing:
    """CF packing of one variable.

    Attributes:
        scale_factor: the step, a power of two: float32 holds packed * step exactly.
        add_offset: the value of packed 0, a multiple of the step.
    """

    scale_factor: float
    add_offset: float

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest value that can be packed."""
        reach = LARGEST * self.scale_factor
        return self.add_offset - reach, self.add_offset + reach


def choose_packing(variable: Variable, low: float, high: float) -> Packing:
    """The variable's own packing, or the finest power-of-two step that holds [low, high] and float32 holds.

    Raises:
        BadDataError: no finite range to pack.
    """
    if variable.packing_step is not None:
        return Packing(scale_factor=variable.packing_step, add_offset=variable.add_offset)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadDataError(f"{variable.name}: no finite value in the input; leave it out of variables")
    finest = max(abs(low), abs(high)) * 2.0**-23  # float32 has 24 bits: finer steps would not survive unpacking
    step = 2.0 ** math.ceil(math.log2(max((high - low) / (2 * LARGEST - 2), finest, 1e-34)))
    return Packing(scale_factor=step, add_offset=round((low + high) / 2 / step) * step)


def pack(values: Array, packing: Packing) -> Array:
    """Round to the nearest step; what is not finite becomes the fill value, what is out of range its end."""
    flat = values.reshape(-1)
    packed = np.empty(flat.size, np.int16)
    for first in range(0, flat.size, BLOCK):
        part = slice(first, first + BLOCK)
        packed[part] = _steps(flat[part], packing)
    return packed.reshape(values.shape)


def _steps(values: Array, packing: Packing) -> Array:
    """`pack`, as whole numbers in float64: float32 would round a difference from the offset twice."""
    steps = np.subtract(values, packing.add_offset, dtype=np.float64)
    steps *= 1 / packing.scale_factor  # exact: a power of two
    np.rint(steps, out=steps)
    if not -LARGEST <= steps.min() <= steps.max() <= LARGEST:  # NaN compares false
        finite = np.isfinite(steps)
        np.clip(steps, -LARGEST, LARGEST, out=steps)
        steps[~finite] = FILL
    return steps


def unpack(packed: Array, packing: Packing) -> Array:
    """Physical values in float32, NaN where missing."""
    values = packed.astype(np.float32) * np.float32(packing.scale_factor) + np.float32(packing.add_offset)
    return np.where(packed == FILL, np.float32(np.nan), values)
