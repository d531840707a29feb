"""A time whose reading fails, or kills its process, is lost alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from weatherml.data.workers import each_time
from weatherml.errors import BadDataError, TemporaryError
from weatherml.sources.base import Description, Frame, Source

TIMES = np.datetime64("2024-01-01T00:00:00", "s") + np.arange(10) * np.timedelta64(1, "h")


def number(frame: Frame) -> float:
    if frame["x"].max() == 5:
        raise BadDataError("x: a five")
    return float(frame["x"].max())


class Undescribed(Source):
    """Times are given, so nobody may ask what it holds."""

    def describe(self) -> Description:
        raise AssertionError("reading asked for a description")


class InSlabs(Undescribed):
    """Reads four times at once, so that the bad one spoils what stands beside it."""

    def read(self, times: np.ndarray) -> Iterator[Frame]:
        for start in range(0, len(times), 4):
            slab = times[start : start + 4]
            if TIMES[2] in slab:
                raise BadDataError(f"x at {slab[0]}: broken")
            for time in slab:
                yield {"x": np.full((2, 2), np.flatnonzero(time == TIMES)[0])}


@dataclass
class Deadly(Undescribed):
    """Kills its process at one time."""

    isolated: ClassVar[bool] = True

    def read(self, times: np.ndarray) -> Iterator[Frame]:
        for time in times:
            if time == TIMES[3]:
                os.kill(os.getpid(), signal.SIGKILL)
            yield {"x": np.full((2, 2), np.flatnonzero(time == TIMES)[0])}


@dataclass
class DeadlySlabs(Deadly):
    """Reads four times at once, and dies before it gives any of those beside the deadly one."""

    in_slabs: ClassVar[bool] = True

    def read(self, times: np.ndarray) -> Iterator[Frame]:
        for start in range(0, len(times), 4):
            yield from list(super().read(times[start : start + 4]))


@dataclass
class Absent(Undescribed):
    """An archive that stops answering, read by two threads of a worker."""

    isolated: ClassVar[bool] = True
    threads: ClassVar[int] = 2

    def read(self, times: np.ndarray) -> Iterator[Frame]:
        for time in times:
            if time >= TIMES[6]:
                raise TemporaryError("archive: no answer")
            yield {"x": np.full((2, 2), np.flatnonzero(time == TIMES)[0])}


WHERE = {"here": (False, False), "in a child": (True, True), "in workers": (True, False)}


@pytest.mark.parametrize("where", WHERE)
def test_what_passes_ends_the_job(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(("isolated", "in_slabs"), WHERE[where], strict=True):
        monkeypatch.setattr(Absent, name, value)
    outcomes = each_time(Absent(), TIMES, number, workers=1)
    assert [str(next(outcomes)[1]) for _ in range(6)] == ["0.0", "1.0", "2.0", "3.0", "4.0", "x: a five"]
    with pytest.raises(TemporaryError, match="archive: no answer"):
        next(outcomes)


@pytest.mark.parametrize("where", ["here", "in a child"])
def test_one_bad_time_does_not_spoil_its_slab(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(("isolated", "in_slabs"), WHERE[where], strict=True):
        monkeypatch.setattr(InSlabs, name, value)
    outcomes = list(each_time(InSlabs(), TIMES, number, workers=1))
    assert [time for time, _ in outcomes] == list(TIMES)
    assert [value for _, value in outcomes if not isinstance(value, BadDataError)] == [0, 1, 3, 4, 6, 7, 8, 9]
    assert [str(value) for _, value in outcomes if isinstance(value, BadDataError)] == [
        f"x at {TIMES[2]}: broken",
        "x: a five",
    ]


@pytest.mark.parametrize("source", [Deadly(), DeadlySlabs()])
def test_a_time_that_kills_its_process_is_lost_alone(source: Source) -> None:
    outcomes = list(each_time(source, TIMES, number, workers=2))
    assert [time for time, _ in outcomes] == list(TIMES)
    lost = {str(time): str(value) for time, value in outcomes if isinstance(value, BadDataError)}
    assert lost == {
        str(TIMES[3]): f"{TIMES[3]}Z: reading it crashed the decoder twice; the time is left out",
        str(TIMES[5]): "x: a five",
    }
