"""The settings that all climate sources share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt, model_validator

from weatherml.sources.climate.reference import with_reference
from weatherml.sources.climate.scenarios import Archive, sequences, with_log_co2
from weatherml.sources.sequences import NO_PART, PARTS, SequenceConfig, Sequences
from weatherml.tasks import Task

Array = npt.NDArray[Any]


class ClimateConfig(SequenceConfig):
    """Settings of an archive of scenarios.

    Attributes:
        length: S, the steps of forcings that enter, the last of the target's own date.
        targets: the fields to learn, by name.
        train: the scenarios to train on.
        validation: by scenario, the steps at its end that validate; the rest of it trains if `train` names it.
        test: by scenario, the steps at its end that are emulated and scored; nothing of it trains.
        log_co2: CO2 enters as its logarithm: right for a concentration, not for emissions added up.
        reference: first and last year of a period: the targets are the changes since its mean over the training
            scenarios, which itself is an input; None leaves them as they are.
    """

    task: ClassVar[Task] = "emulate"
    isolated: ClassVar[bool] = True

    length: PositiveInt = 6
    targets: tuple[str, ...] = ("tas", "pr")
    train: tuple[str, ...]
    validation: dict[str, PositiveInt] = Field(default={})
    test: dict[str, PositiveInt] = Field(default={})
    log_co2: bool = False
    reference: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _held_out(self) -> ClimateConfig:
        if both := sorted({*self.train, *self.validation} & {*self.test}):
            raise ValueError(f"{', '.join(both)} is to be tested and seen in training")
        if not self.train or not self.targets:
            raise ValueError("train and targets name at least one each")
        return self

    @property
    def scenarios(self) -> tuple[str, ...]:
        """All that are read, each once."""
        return tuple(dict.fromkeys((*self.train, *self.validation, *self.test)))

    def part(self, scenario: str, steps: int) -> Array:
        """(steps,) int8, the part of each target of a scenario, see `Sequences.part`."""
        part = np.full(steps, PARTS.index("train") if scenario in self.train else NO_PART, np.int8)
        for name, ends in (("validation", self.validation), ("test", self.test)):
            if scenario in ends:
                part[-ends[scenario] :] = PARTS.index(name)
        return part

    def build(self, inputs: Sequence[str]) -> Sequences:
        """Read the scenarios at `inputs`.

        Raises:
            MissingInputError: nothing there to read.
            BadDataError: a scenario or a target that is not there, series of a scenario that differ in length or
                dates, dates twice or unsorted, or too few of them.
        """
        archive = self.read(inputs)
        archive = with_log_co2(archive) if self.log_co2 else archive
        archive = with_reference(archive, self.reference) if self.reference else archive
        return sequences(archive, self.length)

    @abstractmethod
    def read(self, inputs: Sequence[str]) -> Archive:
        """The scenarios of this archive."""
