"""Processes that may die of a broken file, and what ends them where a native decoder loops for ever over one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HEADERS_S = 5.0
"""The most processor time that the headers of one file take."""
_mortal = False


def become_mortal() -> None:
    """Say that nothing is lost with this process: another waits for its answers."""
    global _mortal  # noqa: PLW0603 - of the process, as a signal is
    _mortal = True


@contextmanager
def processor_limit(seconds: float) -> Iterator[None]:
    """End this process, if it is mortal, where the block takes more processor time; a slow disk takes none."""
    if not _mortal:
        yield
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
