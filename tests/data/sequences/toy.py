"""Series whose target is known: the mean of the inputs' last two steps, or whether it is above 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from weatherml.grid import Grid
from weatherml.sources.sequences import SequenceConfig, Sequences, complete_samples
from weatherml.tasks import Task
from weatherml.variables import Variable

START = np.datetime64("2020-01-01T00:00:00", "s")
DAY = np.timedelta64(86400, "s")


class Toy(SequenceConfig):
    """Four series of `steps` days; the last fifth of the days is the test part, the fifth before validates."""

    task: ClassVar[Task] = "emulate"

    steps: int = 60
    size: int = 6
    length: int = 3
    lead: int = 0
    base_rate: float = 0.5

    def build(self, inputs: Sequence[str]) -> Sequences:
        rng = np.random.default_rng(0)
        times = np.broadcast_to(START + np.arange(self.steps) * DAY, (4, self.steps))
        shape = (4, self.steps, self.size, self.size)
        first, second = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        mean = (first + np.roll(first, 1, axis=1)) / 2
        known = complete_samples(times, length=self.length, lead=self.lead, step=DAY)
        share = np.arange(self.steps) / self.steps
        part = np.where(known, np.select([share < 0.6, share < 0.8], [0, 1], 2), -1).astype(np.int8)
        return Sequences(
            task=type(self).task,
            length=self.length,
            lead=self.lead,
            grid=Grid(kind="index", y=np.arange(float(self.size)), x=np.arange(float(self.size))),
            series=("a", "b", "c", "d"),
            times=times,
            inputs=(Variable(name="first", units="K"), Variable(name="second", units="1")),
            targets=(Variable(name="target", units="K"),),
            values={"first": first, "second": second, "target": self.target(mean)},
            part=part,
        )

    def target(self, mean: np.ndarray) -> np.ndarray:
        return 280 + 5 * mean


class ToyMask(Toy):
    """The same, to be segmented."""

    task: ClassVar[Task] = "segment"

    def target(self, mean: np.ndarray) -> np.ndarray:
        return (mean > np.quantile(mean, 1 - self.base_rate)).astype(np.float32)


class ToyEvent(ToyMask):
    """The same at one point, to be classified."""

    task: ClassVar[Task] = "classify"
