"""The contract of a source: an archive described once, then read one time after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt, model_validator

from weatherml.config import Config
from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.registry import Registry
from weatherml.sources.sequences import SequenceConfig
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Frame = dict[str, Array]
"""One time's fields by variable name, each (H, W) float32 in the variable's units, NaN where missing."""

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
        start: the first time kept, ISO 8601 UTC.
        end: the last time kept, ISO 8601 UTC.
        split: train, validation and test.
        tile: rows and columns of a chunk; None stores whole fields.
    """

    variables: dict[str, dict[str, Any]] | None = None
    start: str | None = None
    end: str | None = None
    split: Split = Split()
    tile: PositiveInt | None = None

    @model_validator(mode="after")
    def _start_and_end_are_times(self) -> SourceConfig:
        self.within(np.array([], "datetime64[s]"))
        return self

    def within(self, times: Array) -> Array:
        """Those of `times`, datetime64[s], from `start` to `end`.

        Raises:
            ConfigError: `start` or `end` is no time.
        """
        keep = np.ones(len(times), bool)
        if self.start is not None:
            keep &= times >= utc(self.start, "start")
        if self.end is not None:
            keep &= times <= utc(self.end, "end")
        return times[keep]

    @abstractmethod
    def build(self, inputs: Sequence[str]) -> Source:
        """Open the archive at `inputs` (paths, globs or URLs; the synthetic world takes none).

        Raises:
            MissingInputError: nothing there to read.
            BadDataError: what is there cannot be one dataset.
        """


@dataclass(frozen=True, kw_only=True)
class Static:
    """A field that does not change: (H, W) values with their CF attributes (`units`, `standard_name`)."""

    values: Array
    attributes: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What an archive holds.

    Attributes:
        grid: the horizontal grid.
        variables: the channels, in order.
        times: (N,) datetime64[s] UTC, strictly increasing; a missing hour is absent.
        step: the regular time step; gaps are multiples of it.
        static: fields by CF name (`orography`, `land_binary_mask`, ...).
        inputs: every file read, with its size in bytes.
        notes: in words, what was left out and why; they go into quality.json and to the user.
        quarantined: times found but not usable, with the reason.
        attributes: CF global attributes worth keeping (`title`, `institution`, ...).
    """

    grid: Grid
    variables: tuple[Variable, ...]
    times: Array
    step: np.timedelta64
    static: dict[str, Static] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    quarantined: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


class Source(ABC):
    """An opened archive. Picklable, so that worker processes can read from it too.

    Attributes:
        isolated: reading runs native decoders on files from anywhere: each time is read in a worker
            process that may die, and a time whose reading fails is quarantined.
    """

    isolated: ClassVar[bool] = False

    @abstractmethod
    def describe(self) -> Description:
        """What the archive holds; cheap after the first call."""

    def narrowed(self, time: np.datetime64) -> Source:  # noqa: ARG002 - sources with a large index use it
        """A source that can read this one time, small enough to send to a worker."""
        return self

    @abstractmethod
    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times` (a run of entries of the description's), one frame a time.

        Raises:
            BadDataError: a time cannot be read; the message names the file, variable and time.
        """


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
