"""A process of its own: what it gives travels, what kills it is said, and it never outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.data.chores import die, fail, loop, pids, sleep, where
from weatherml.data import child
from weatherml.data.child import SPARE, CrashError, spared, stream
from weatherml.data.opening import opened
from weatherml.errors import BadDataError, TemporaryError
from weatherml.mortal import processor_limit
from weatherml.sources.base import Source
from weatherml.sources.netcdf import NetCDF

LONGEST_S = 30


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """No process is waiting from other tests."""
    token = SPARE.set(None)
    yield
    SPARE.reset(token)


class Fatal(NetCDF):
    """Files that crash the library which opens them."""

    def build(self, inputs: Sequence[str]) -> Source:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError(inputs)


def test_results_stream_and_nothing_is_left() -> None:
    found = list(stream(pids, 3))
    assert len(found) == 3
    assert len(set(found) - {os.getpid()}) == 1
    abandoned = stream(sleep)
    pid = next(abandoned)
    assert psutil.pid_exists(pid)
    abandoned.close()
    assert not any(psutil.pid_exists(each) for each in {pid, *found})


def test_paths_mean_the_same_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with spared():
        for folder in (tmp_path, tmp_path.parent):
            monkeypatch.chdir(folder)
            assert list(stream(where)) == [str(folder)]


def test_one_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LONGEST_S", 5)
    waiting = stream(sleep)
    pid = next(waiting)
    began = time.monotonic()
    with pytest.raises(CrashError):
        next(waiting)
    assert 4 < time.monotonic() - began < LONGEST_S
    assert not psutil.pid_exists(pid)


def test_one_that_computes_for_ever_is_ended() -> None:
    looping = stream(loop, 0.5)
    pid = next(looping)
    began = time.monotonic()
    with pytest.raises(CrashError):
        next(looping)
    assert time.monotonic() - began < LONGEST_S
    assert not psutil.pid_exists(pid)


def test_a_process_that_others_need_computes_as_long_as_it_likes() -> None:
    with processor_limit(0.01):
        began = time.process_time()
        while time.process_time() - began < 0.1:
            pass


def test_those_that_are_spared_are_used_again_while_they_live() -> None:
    with spared():
        (first,) = stream(pids, 1)
        with spared():
            assert list(stream(pids, 1)) == [first]
        with pytest.raises(ZeroDivisionError), pytest.warns(UserWarning, match="a strange file"):
            list(stream(fail, ZeroDivisionError()))
        assert list(stream(pids, 1)) == [first]
        os.kill(first, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first)], timeout=LONGEST_S)
        (second,) = stream(pids, 1)
        assert second != first
    assert not psutil.pid_exists(second)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_is_said(number: int) -> None:
    outcomes = stream(die, number)
    assert next(outcomes) == "alive"
    with pytest.raises(CrashError):
        next(outcomes)


@pytest.mark.parametrize("error", [TemporaryError("no answer"), PermissionError(13, "denied", "a.nc"), KeyError("x")])
def test_an_error_is_raised_here_with_where_it_was_there(error: Exception) -> None:
    outcomes = stream(fail, error)
    with pytest.warns(UserWarning, match="a strange file"):
        assert next(outcomes) == "before"
    with pytest.raises(type(error)) as raised:
        next(outcomes)
    assert raised.value.args == error.args
    assert "in fail\n    raise error" in raised.value.__notes__[0]


def test_what_cannot_be_found_there_is_no_crash() -> None:
    def local() -> Iterator[int]:
        yield 1

    with pytest.raises(AttributeError, match="local object"):
        list(stream(local))


def test_opening_a_file_that_crashes_the_library() -> None:
    with pytest.raises(BadDataError, match=r"^a\.nc: opening it crashed the decoder; fetch or write it again$"):
        opened(Fatal(), ["a.nc"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_it_ends_with_its_parent_and_in_silence(number: int, code: int) -> None:
    program = (
        "import signal, sys; from tests.data.chores import sleep; from weatherml.data.child import stream\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it\n"
        "try:\n"
        "    for pid in stream(sleep): print(pid, flush=True)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as parent:
        assert parent.stdout
        assert parent.stderr
        child = psutil.Process(int(parent.stdout.readline()))
        os.killpg(parent.pid, number)  # as a terminal does
        assert parent.wait(LONGEST_S) == code
        psutil.wait_procs([child], timeout=LONGEST_S)
        assert not child.is_running()
        assert parent.stderr.read() == ""
