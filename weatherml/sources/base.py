"""What every gridded source takes: which variables, times and part of the grid, and how the times are split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from weatherml.config import Config
from weatherml.errors import BadDataError, ConfigError
from weatherml.registry import Registry
from weatherml.sources.derived import derived_variables, divide
from weatherml.sources.region import Region, box
from weatherml.sources.selection import Selection
from weatherml.sources.sequences import SequenceConfig
from weatherml.sources.source import Array, Description, Frame, Source, Static

__all__ = ["Array", "Description", "Frame", "Source", "Static"]  # the rest of the contract, besides what stands here

Month = Annotated[int, Field(ge=1, le=12)]
HourOfDay = Annotated[int, Field(ge=0, le=23)]

HOUR = 3600
DAY = 86400

SOURCES: Registry[SourceConfig | SequenceConfig] = Registry("sources")


class Split(Config):
    """How the times are divided: train, then validation, then test, with a gap between them.

    Attributes:
        validation: share of the times.
        test: share of the times, at the end.
        gap_hours: hours left out between two parts, so that no weather is in both; None takes 24 hours,
            or 5 % of the times (at least one step) where the whole is short.
    """

    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)
    gap_hours: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _leaves_training(self) -> Split:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


class SourceConfig(Config, ABC):
    """What every source takes.

    Attributes:
        variables: by name, settings of `Variable` over what the table or the file says, together with
            the source's own keys that find it (see each source); None takes the source's default set.
            Those with a `formula`, their own or that of `DERIVED`, are moved to `derived`.
        derived: by name, settings of variables computed from others by formula, besides `variables`.
        stored: the names that the dataset holds, in order; None stores all of `variables` and `derived`.
        start: the first time kept, ISO 8601 UTC.
        end: the last time kept, ISO 8601 UTC.
        months: of the year, 1 to 12, that are kept; None keeps all.
        hours_of_day: 0 to 23, UTC, that are kept; None keeps all.
        region: the part of the grid kept; None keeps all.
        thin: keep every n-th row and column of the region, beginning with its first.
        split: train, validation and test.
        tile: rows and columns of a chunk; None stores whole fields.
    """

    isolated: ClassVar[bool] = False
    """Opening runs native decoders on files from anywhere: it is done in a process that may die."""

    variables: dict[str, dict[str, Any]] | None = None
    derived: dict[str, dict[str, Any]] = Field(default={})
    stored: tuple[str, ...] | None = None
    start: str | None = None
    end: str | None = None
    months: tuple[Month, ...] | None = None
    hours_of_day: tuple[HourOfDay, ...] | None = None
    region: Region | None = None
    thin: PositiveInt = 1
    split: Split = Split()
    tile: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _formulas_apart(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """The source itself never meets a variable that it does not read."""
        return divide(settings)

    @model_validator(mode="after")
    def _derived_can_be(self) -> SourceConfig:
        derived_variables(self.derived)
        return self

    @model_validator(mode="after")
    def _times_can_be(self) -> SourceConfig:
        self.within(np.array([], "datetime64[s]"))
        hours = sorted(set(self.hours_of_day or ()))
        if len(hours) > 1:
            steps = np.diff([*hours, hours[0] + DAY // HOUR])
            if (steps % steps.min()).any():
                raise ConfigError(f"hours_of_day: {hours} have no common step; write for example [0, 6, 12, 18]")
        return self

    def within(self, times: Array) -> Array:
        """Those of `times`, datetime64[s], from `start` to `end`, in the chosen months and hours of the day.

        Raises:
            ConfigError: `start` or `end` is no time.
        """
        keep = np.ones(len(times), bool)
        if self.start is not None:
            keep &= times >= utc(self.start, "start")
        if self.end is not None:
            keep &= times <= utc(self.end, "end")
        if self.months is not None:
            keep &= np.isin(times.astype("datetime64[M]").astype(np.int64) % 12 + 1, self.months)
        if self.hours_of_day is not None:
            keep &= np.isin(times.astype("datetime64[h]").astype(np.int64) % 24, self.hours_of_day)
        return times[keep]

    @abstractmethod
    def build(self, inputs: Sequence[str]) -> Source:
        """Open the archive at `inputs` (paths, globs or URLs; the synthetic world takes none), whole.

        Raises:
            MissingInputError: nothing there to read.
            BadDataError: what is there cannot be one dataset.
        """

    def open(self, inputs: Sequence[str]) -> Source:
        """Build the source, and let it be read as the settings say: its part of the grid, its derived variables.

        Raises:
            MissingInputError: nothing there to read.
            BadDataError: what is there cannot be one dataset.
            ConfigError: a region off the grid, or a variable that a formula or `stored` names and nothing gives.
        """
        source = self.build(inputs)
        if self.region is not None or self.thin > 1:
            source = source.cut(*box(source.horizontal_grid(), self.region, thin=self.thin))
        return Selection.of(source, derived_variables(self.derived), self.stored)


def utc(text: str, key: str) -> np.datetime64:
    """An ISO 8601 time, the setting of `key`, as datetime64[s] UTC; without an offset it is UTC.

    Raises:
        ConfigError: no such time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{key}: {text!r} is not an ISO 8601 time; write for example 2024-05-01T00:00Z") from None
    if time.tzinfo:
        time = time.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(time, "s")


def regular_step(times: Array, at: str) -> np.timedelta64:
    """The step of increasing `times`, of which every difference is a multiple; an hour where there is one time.

    Raises:
        BadDataError: the times, those of the input called `at`, have no such step.
    """
    seconds = np.diff(times).astype(np.int64)
    step = int(seconds.min()) if len(seconds) else HOUR
    if (seconds % step).any():
        first = int(np.argmax(seconds % step != 0))
        raise BadDataError(
            f"{at}: irregular times, {_span(int(seconds[first]))} after {times[first]}Z where the shortest step is "
            f"{_span(step)}; interpolate to one step (months and years have none), or choose a part by start and end"
        )
    return np.timedelta64(step, "s")


def _span(seconds: int) -> str:
    return f"{seconds / DAY:g} days" if seconds >= DAY else f"{seconds} s"
