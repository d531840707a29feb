"""What a dataset keeps of each time, from the values as they are stored: moments, extremes, activity.

A packed field takes one of 65,536 numbers at each point. So its histogram, made where it is packed, gives
everything that is asked of one time, and a table of the transformed numbers the change from the time before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.packing import Packing, unpack
from weatherml.data.shards import Encoded
from weatherml.data.statistics import Moments, VariableMoments
from weatherml.data.transforms import transform
from weatherml.variables import Variable

Array = npt.NDArray[Any]
REPEATED = "repeated"
BLOCK = 1 << 15
"""Points whose change is counted at once: they stay in a core's cache."""
PACKED = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
"""Every packed number, in the order of its bits taken as an unsigned one: a field's index into a table."""


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

    def row(self, field: Encoded, packed: Array, before: Array | None) -> Row:
        """The row of a field.

        Args:
            field: its chunks and histogram.
            packed: the field itself, (H, W) int16.
            before: that of one step before; None where there is none.
        """
        values, counts = self.physical[field.levels], field.counts
        physical = Moments.of(values, counts)
        reached = [self.variable.reaches(values, threshold) for threshold in self.variable.thresholds]
        return Row(
            moments=VariableMoments(
                state=Moments.of(self.transformed[field.levels], counts),
                delta=Moments() if before is None else self._change(packed, before),
            ),
            values=(physical.min, physical.max, physical.mean, 1 - physical.count / packed.size),
            activity=tuple(float(counts[where].sum() / physical.count) for where in reached),
        )

    def _change(self, packed: Array, before: Array) -> Moments:
        """The moments of the change of transformed values from one field to the next."""
        now, then = (field.view(np.uint16).ravel() for field in (packed, before))
        blocks = (slice(start, start + BLOCK) for start in range(0, now.size, BLOCK))
        changes = (self.transformed[now[block]] - self.transformed[then[block]] for block in blocks)
        return sum((Moments.of(change) for change in changes), Moments())


class Tally:
    """Makes the rows of one time after another.

    Args:
        variables: the channels, in order.
        packings: of each.
        step: a change over anything else is not counted.
        last: the last time in the store so far and its fields, None where there is none.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        packings: Sequence[Packing],
        step: np.timedelta64,
        last: tuple[np.datetime64, Mapping[str, Encoded]] | None = None,
    ) -> None:
        self._levels = [Levels(variable, packing) for variable, packing in zip(variables, packings, strict=True)]
        self._step = step
        self._last = last
        self._before = {} if last is None else {name: field.decoded() for name, field in last[1].items()}

    def add(self, time: np.datetime64, fields: Mapping[str, Encoded]) -> tuple[list[Row], list[dict[str, Any]]]:
        """The rows of the fields at the next time, and findings of those that repeat the time before."""
        then, before = self._last or (None, {})
        one_step = then is not None and time - then == self._step
        rows, findings = [], []
        for levels in self._levels:
            name = levels.variable.name
            field, packed = fields[name], fields[name].decoded()
            rows.append(levels.row(field, packed, self._before[name] if one_step else None))
            if then is not None and len(field.levels) > 1 and before[name].chunks == field.chunks:
                findings.append({"variable": name, "finding": REPEATED})
            self._before[name] = packed
        self._last = (time, fields)
        return rows, findings
