"""Normalised fields in physical units again where they were logarithms or roots: extremes weigh as they do outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weatherml.data.packing import unpack
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser
from weatherml.data.windows import evenly
from weatherml.fields import Fields
from weatherml.variables import Transform

PAIRS = 32
"""Of successive training times, from which the size of a step's change is taken."""
STRAIGHT: frozenset[Transform] = frozenset({"none", "clip"})
"""Transforms under which a change is as large as it is in physical units."""


class PhysicalUnits(nn.Module):
    """Normalised (..., C, H, W) to physical values in units of one step's change; 0 where nothing bent them.

    Args:
        normaliser: of the C variables.
        changes: (C,), the root mean square of each one's change in a step; infinite for those to leave out.
    """

    share: Tensor

    def __init__(self, normaliser: Normaliser, changes: npt.NDArray[Any]) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.register_buffer("share", torch.as_tensor(1 / changes, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, normalised: Fields) -> Fields:
        """Within the bounds of a forecast, in float32."""
        return self.normaliser.forecast(normalised) * self.share


def physical_units(dataset: Dataset, normaliser: Normaliser) -> PhysicalUnits:
    """What brings normalised fields of the dataset's variables to physical units of a step."""
    changes = [
        np.inf if variable.transform in STRAIGHT else step_change(dataset, variable.name)
        for variable in dataset.variables
    ]
    return PhysicalUnits(normaliser, np.array(changes)).to(normaliser.mean.device)


def successive(dataset: Dataset, name: str) -> Iterator[npt.NDArray[np.float64]]:
    """(2, H, W) physical fields of a variable at successive training times, `PAIRS` of them spread evenly."""
    times = dataset.part("train")
    firsts = times[:-1][np.diff(dataset.times[times]) == dataset.step]
    packing = dataset.packings[dataset.names.index(name)]
    for first in evenly(firsts, PAIRS):
        yield unpack(dataset.read(slice(first, first + 2), name), packing).astype(np.float64)


def step_change(dataset: Dataset, name: str) -> float:
    """The root mean square of a variable's one-step change in its units; infinite where it never changes."""
    squares, count = 0.0, 0
    for before, after in successive(dataset, name):
        change = (after - before)[np.isfinite(after - before)]
        squares, count = squares + float(np.square(change).sum()), count + change.size
    return float(np.sqrt(squares / count)) if squares else np.inf
