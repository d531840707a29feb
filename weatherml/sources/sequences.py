"""The contract of a source of sequences: what emulation, classification and segmentation learn from.

A series is what has one course in time: a scenario, a place, a tile of an image. A sample is S steps of a
series' inputs and one target, so that no sequence ever crosses from one series to another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from weatherml.config import Config
from weatherml.grid import Grid
from weatherml.tasks import Task
from weatherml.variables import Variable

Array = npt.NDArray[Any]

PARTS = ("train", "validation", "test")
NO_PART = -1


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Series in memory; N of them, up to T steps each, on one grid of H x W points (1 x 1 for a table).

    Attributes:
        task: what they serve.
        length: S, the steps of a sample's inputs.
        lead: steps from the last input to the target; 0 where the target is of the same time.
        grid: of inputs and targets.
        series: (N,) names, each once.
        times: (N, T) datetime64[s] UTC, increasing; NaT beyond a series' end.
        inputs: the variables that enter.
        targets: the variables to learn; those of `classify` and `segment` are 0, 1, or NaN where unknown.
        values: by name, inputs and targets alike, (N, T, H, W) float32, NaN where missing.
        part: (N, T) int8, by target: the position in `PARTS` of the sample whose target stands there, or `NO_PART`.
        files: every file read, with its size in bytes.
        notes: in words, what was left out and why.
    """

    task: Task
    length: int
    lead: int
    grid: Grid
    series: tuple[str, ...]
    times: Array
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    values: dict[str, Array]
    part: Array
    files: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class SequenceConfig(Config, ABC):
    """Settings of a source of sequences; a member of the sources like any other."""

    task: ClassVar[Task]
    isolated: ClassVar[bool] = False
    """Reading runs native decoders on files from anywhere: it is done in a process that may die."""

    @abstractmethod
    def build(self, inputs: Sequence[str]) -> Sequences:
        """Read what lies at `inputs` (paths or globs).

        Raises:
            MissingInputError: nothing there to read.
            BadDataError: what is there cannot be samples; the message names file, series and time.
        """


def complete_samples(times: Array, *, length: int, lead: int, step: np.timedelta64 | None) -> Array:
    """(N, T) bool: the targets whose S inputs and itself follow one another without a gap.

    Args:
        times: (N, T) datetime64, NaT beyond a series' end.
        length: S.
        lead: steps from the last input to the target.
        step: that between neighbours; None where steps differ, as those of months do.
    """
    there = ~np.isnat(times)
    joined = there.copy()
    joined[:, 0] = False
    if step is not None:
        joined[:, 1:] &= np.diff(times, axis=1) == step
    reach = length - 1 + lead  # steps before the target
    unbroken = np.cumsum(joined, axis=1)
    found = np.zeros_like(there)
    if reach < found.shape[1]:
        found[:, reach:] = unbroken[:, reach:] - unbroken[:, : unbroken.shape[1] - reach] == reach
    return found & there
