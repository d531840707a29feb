"""Patches on a regular lattice, sequences of their clear dates, and a split in which no two parts share a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from weatherml.config import Config
from weatherml.sources.sequences import NO_PART, PARTS

Array = npt.NDArray[Any]
Criterion: TypeAlias = Literal["columns", "dates", "scenes"]


class PatchSplit(Config):
    """How sequences are divided; what lies across a border is left out.

    Attributes:
        by: `columns` of the lattice, train in the west of each scene and test in the east; `dates`, test the last;
            `scenes`, test the last by name. Of several, a sequence must fall into the same part by each.
        validation: share of the columns, dates or scenes; at least one where it is not 0.
        test: share of the columns, dates or scenes; at least one where it is not 0.
    """

    by: tuple[Criterion, ...] = Field(("columns",), min_length=1)
    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)

    @model_validator(mode="after")
    def _leaves_training(self) -> PatchSplit:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """The sequences of a scene, n of them, and what was left out.

    Attributes:
        dates: (n, S) positions of their dates.
        rows: (n,) first rows.
        columns: (n,) first columns.
        images: patches at single dates that were looked at.
        cloudy: those of them that are not clear enough.
        apart: sequences whose dates are too far apart.
    """

    dates: Array
    rows: Array
    columns: Array
    images: int
    cloudy: int
    apart: int

    def select(self, chosen: Array) -> Cuts:
        """The sequences that are `chosen`, (n,) bool."""
        return replace(self, dates=self.dates[chosen], rows=self.rows[chosen], columns=self.columns[chosen])


def cut(
    times: Array, clear: Array, *, size: int, stride: int, length: int, max_gap: np.timedelta64, min_clear: float
) -> Cuts:
    """Every sequence of `length` dates, one after the other among those when a patch is clear enough.

    Args:
        times: (T,) datetime64.
        clear: (T, H, W) bool.
        size: rows and columns of a patch.
        stride: pixels from one patch to the next.
        length: S.
        max_gap: the longest time from one date to the next.
        min_clear: the least clear share of a patch.
    """
    height, width = clear.shape[1:]
    corners = [(y, x) for y in starts(height, size, stride) for x in starts(width, size, stride)]
    found = [np.empty((0, length + 2), np.int64)]
    cloudy = apart = 0
    for y, x in corners:
        usable = clear[:, y : y + size, x : x + size].mean((1, 2)) >= min_clear
        dates, far = runs(times, usable, length=length, max_gap=max_gap)
        found.append(np.concatenate([dates, np.tile((y, x), (len(dates), 1))], axis=1))
        cloudy, apart = cloudy + int((~usable).sum()), apart + far
    table = np.concatenate(found)
    return Cuts(
        dates=table[:, :length],
        rows=table[:, -2],
        columns=table[:, -1],
        images=len(corners) * len(times),
        cloudy=cloudy,
        apart=apart,
    )


def starts(extent: int, size: int, stride: int) -> range:
    """The first pixels of the patches along one side of a scene."""
    return range(0, extent - size + 1, stride)


def runs(times: Array, usable: Array, *, length: int, max_gap: np.timedelta64) -> tuple[Array, int]:
    """(n, S) positions of usable dates that follow one another closely enough, and how many do not."""
    positions = np.flatnonzero(usable)
    if len(positions) < length:
        return np.empty((0, length), np.int64), 0
    windows = np.lib.stride_tricks.sliding_window_view(positions, length)
    close = (np.diff(times[windows], axis=1) <= max_gap).all(1)
    return windows[close], int((~close).sum())


def parts(first: Array, end: Array, split: PatchSplit) -> Array:
    """The part of each interval from `first` to before `end` on a line: no two parts have a point in common.

    Test intervals are those that begin last; those that reach into them are left out, and so on down the line.
    """
    part = np.full(len(first), NO_PART, np.int8)
    shares, bound = {"test": split.test, "validation": split.validation, "train": 1.0}, None
    total = len(np.unique(first))
    for name, share in shares.items():
        free = np.ones(len(first), bool) if bound is None else end <= bound
        begins = np.unique(first[free])
        count = min(max(1, round(share * total)), len(begins)) if share else 0
        if count:
            bound = begins[-count]
            part[free & (first >= bound)] = PARTS.index(name)
    return part


def agreed(by_criterion: Sequence[Array]) -> Array:
    """The part on which every criterion agrees, `NO_PART` where they do not."""
    table = np.stack(by_criterion)
    return np.where((table == table[0]).all(0), table[0], NO_PART).astype(np.int8)
