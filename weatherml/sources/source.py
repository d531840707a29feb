"""The contract of an opened source: an archive described once, then read one time after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from weatherml.grid import Grid
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Frame = dict[str, Array]
"""One time's fields by variable name, each (H, W) float32 in the variable's units, NaN where missing."""


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
        isolated: reading runs native decoders on files from anywhere: it is done in processes that may die,
            and a time whose reading fails is quarantined.
        in_slabs: several times are read at once: one process reads them all in order, where else several
            workers read a time each.
        threads: times that one worker process reads at once.
    """

    isolated: ClassVar[bool] = False
    in_slabs: ClassVar[bool] = False
    threads: ClassVar[int] = 1

    @abstractmethod
    def describe(self) -> Description:
        """What the archive holds; cheap after the first call."""

    def horizontal_grid(self) -> Grid:
        """The grid of the description; sources that need not describe themselves for it do not."""
        return self.describe().grid

    def narrowed(self, time: np.datetime64) -> Source:  # noqa: ARG002 - sources with a large index use it
        """A source that can read this one time, small enough to send to a worker."""
        return self

    def cut(self, rows: slice, columns: slice) -> Source:
        """The same archive on these rows and columns alone; sources that can fetch less than whole fields do."""
        return Cut(source=self, rows=rows, columns=columns)

    @abstractmethod
    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times` (a run of entries of the description's), one frame a time.

        Raises:
            BadDataError: a time cannot be read; the message names the file, variable and time.
        """


@dataclass(frozen=True, kw_only=True)
class Wrapper(Source):
    """A source that changes what another one says and gives, and is read as that one is."""

    source: Source

    @property
    def isolated(self) -> bool:  # type: ignore[override]
        """That of the wrapped source."""
        return self.source.isolated

    @property
    def in_slabs(self) -> bool:  # type: ignore[override]
        """That of the wrapped source."""
        return self.source.in_slabs

    @property
    def threads(self) -> int:  # type: ignore[override]
        """That of the wrapped source."""
        return self.source.threads

    def narrowed(self, time: np.datetime64) -> Source:
        """The wrapped source, narrowed."""
        return replace(self, source=self.source.narrowed(time))


@dataclass(frozen=True, kw_only=True)
class Cut(Wrapper):
    """Some rows and columns of a source that reads whole fields."""

    rows: slice
    columns: slice

    def describe(self) -> Description:
        """The same, on the smaller grid."""
        whole = self.source.describe()
        static = {name: replace(each, values=self._part(each.values)) for name, each in whole.static.items()}
        return replace(whole, grid=whole.grid.crop(self.rows, self.columns), static=static)

    def read(self, times: Array) -> Iterator[Frame]:
        """The parts of the whole fields."""
        for frame in self.source.read(times):
            yield {name: self._part(values) for name, values in frame.items()}

    def _part(self, values: Array) -> Array:
        return values[self.rows, self.columns].copy()  # a view would keep the whole field in memory
