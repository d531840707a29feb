"""What tests let a process of its own do; it imports this module, so that nothing heavy stands here."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from weatherml.mortal import processor_limit


def pids(count: int) -> Iterator[int]:
    """Where it runs, so many times."""
    yield from [os.getpid()] * count


def die(number: int, *_: object) -> Iterator[str]:
    yield "alive"
    os.kill(os.getpid(), number)


def fail(error: Exception) -> Iterator[str]:
    warnings.warn("a strange file", stacklevel=2)
    yield "before"
    raise error


def loop(seconds: float) -> Iterator[int]:
    """Computes for ever, of which so much is allowed."""
    yield os.getpid()
    with processor_limit(seconds):
        while True:
            pass


def sleep() -> Iterator[int]:
    yield os.getpid()
    time.sleep(100)


def where() -> Iterator[str]:
    yield str(Path.cwd())
