"""What a dataset keeps of each time, from the values as they are stored: moments, extremes, activity.

A packed field takes one of 65,536 numbers at each point. So its histogram gives everything that is asked
of one time, and a table of the transformed numbers the change from the time before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.packing import Packing, unpack
from weatherml.data.statistics import Moments, VariableMoments
from weatherml.data.transforms import transform
from weatherml.variables import Variable

Array = npt.NDArray[Any]
REPEATED = "repeated"
PACKED = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
"""Every packed number, in the order of its bits taken as an unsigned one: a field's index into a table."""
REACHES = {"above": np.greater_equal, "below": np.less_equal}
"""The threshold itself counts, as in the scores."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is kept of one variable at one time.

    Attributes:
        moments: of the transformed values and of their change over one step; the latter empty elsewhere.
        values: physical minimum, maximum and mean, and the share of missing points.
        activity: for each threshold of the variable, the share of known points that reach it.
    """

    moments: VariableMoments
    values: tuple[float, float, float, float]
    activity: tuple[float, ...]


class Levels:
    """The 65,536 numbers of one variable, unpacked and transformed, each (65536,) float64."""

    def __init__(self, variable: Variable, packing: Packing) -> None:
        self.variable = variable
        self.physical = unpack(PACKED, packing).astype(np.float64)
        self.transformed = np.asarray(transform(torch.from_numpy(self.physical), variable))

    def row(self, packed: Array, before: Array | None) -> Row:
        """The row of a field (H, W), and of its change from the one a step `before` it."""
        counts = np.bincount(packed.view(np.uint16).ravel(), minlength=len(PACKED))
        present = np.flatnonzero(counts)
        values, counts = self.physical[present], counts[present]
        physical = Moments.of(values, counts)
        reached = [REACHES[self.variable.event](values, threshold) for threshold in self.variable.thresholds]
        return Row(
            moments=VariableMoments(
                state=Moments.of(self.transformed[present], counts),
                delta=Moments() if before is None else Moments.of(self._transform(packed) - self._transform(before)),
            ),
            values=(physical.min, physical.max, physical.mean, 1 - physical.count / packed.size),
            activity=tuple(float(counts[where].sum() / physical.count) for where in reached),
        )

    def _transform(self, packed: Array) -> Array:
        return self.transformed[packed.view(np.uint16)]


class Tally:
    """Makes the rows of one time after another.

    Args:
        variables: the channels, in order.
        packings: of each.
        step: a change over anything else is not counted.
        last: the last time in the store so far and its packed fields, None where there is none.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        packings: Sequence[Packing],
        step: np.timedelta64,
        last: tuple[np.datetime64, Mapping[str, Array]] | None = None,
    ) -> None:
        self._levels = [Levels(variable, packing) for variable, packing in zip(variables, packings, strict=True)]
        self._step = step
        self._last = last

    def add(self, time: np.datetime64, packed: Mapping[str, Array]) -> tuple[list[Row], list[dict[str, Any]]]:
        """The rows of the fields at the next time, and findings of those that repeat the time before."""
        then, before = self._last or (None, {})
        one_step = then is not None and time - then == self._step
        rows, findings = [], []
        for levels in self._levels:
            name = levels.variable.name
            rows.append(levels.row(packed[name], before[name] if one_step else None))
            if then is not None and np.ptp(packed[name]) > 0 and np.array_equal(before[name], packed[name]):
                findings.append({"variable": name, "finding": REPEATED})
        self._last = (time, packed)
        return rows, findings
