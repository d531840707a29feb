"""The training split's statistics while a dataset is written, from the values as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.packing import Packing, unpack
from weatherml.data.statistics import Moments, VariableMoments
from weatherml.data.transforms import transform
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Interval = tuple[np.datetime64, np.datetime64]


class Tally:
    """Adds up states and one-step changes of times within the training split, block by block.

    Attributes:
        train: first and last time that count.
        step: the time step; changes over anything else are not counted.
        moments: by variable.
    """

    def __init__(self, train: Interval, step: np.timedelta64) -> None:
        self.train = train
        self.step = step
        self.moments: dict[str, VariableMoments] = {}
        self._last: dict[str, tuple[np.datetime64, Array]] = {}

    @classmethod
    def resume(
        cls,
        train: Interval,
        step: np.timedelta64,
        moments: Mapping[str, Any],
        last: dict[str, tuple[np.datetime64, Array]],
    ) -> Tally:
        """Go on from `settings` and the last stored field of each variable."""
        tally = cls(train, step)
        tally.moments = {
            name: VariableMoments(state=Moments(**both["state"]), delta=Moments(**both["delta"]))
            for name, both in moments.items()
        }
        tally._last = last
        return tally

    def settings(self) -> dict[str, Any]:
        """The sums, for the progress file."""
        return {name: asdict(both) for name, both in self.moments.items()}

    def add(self, variable: Variable, packing: Packing, times: Array, block: Array) -> list[dict[str, Any]]:
        """Count a block (n, H, W) of stored values; returns findings of fields that repeat the one before."""
        findings = []
        for time, packed in zip(times, block, strict=True):
            before = self._last.get(variable.name)
            if before is not None and np.ptp(packed) > 0 and np.array_equal(before[1], packed):
                findings.append({"time": f"{time}Z", "variable": variable.name, "finding": "repeated"})
            if self.train[0] <= time <= self.train[1]:
                counted = self._moments(variable, packing, time, packed)
                self.moments[variable.name] = self.moments.get(variable.name, VariableMoments()) + counted
            self._last[variable.name] = (time, packed)
        return findings

    def _moments(self, variable: Variable, packing: Packing, time: np.datetime64, packed: Array) -> VariableMoments:
        values = transformed(packed, variable, packing)
        before = self._last.get(variable.name)
        if before is None or time - before[0] != self.step:
            return VariableMoments(state=Moments.of(values))
        delta = values - transformed(before[1], variable, packing)
        return VariableMoments(state=Moments.of(values), delta=Moments.of(delta))


def transformed(packed: Array, variable: Variable, packing: Packing) -> Array:
    """Stored values after the variable's transform, in float64."""
    values = torch.from_numpy(unpack(packed, packing).astype(np.float64))
    return np.asarray(transform(values, variable))


def last_fields(
    group: Any, names: Sequence[str], times: Sequence[np.datetime64]
) -> dict[str, tuple[np.datetime64, Array]]:
    """The last stored field of each variable, read back from an unfinished store."""
    if not times:
        return {}
    return {name: (times[-1], np.asarray(group[name][len(times) - 1])) for name in names}
