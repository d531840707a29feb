"""Progress for people: a tqdm bar on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEARTBEAT_SECONDS = 60.0


class Bar:
    """A progress bar that is told the work done and in all; a heartbeat where nobody looks."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.started = self.said = time.monotonic()
        self.first: int | None = None
        self.bar: Any = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units are done."""
        self.first = done if self.first is None else self.first
        if sys.stderr.isatty():
            self._draw(done, total, note)
        elif done == total or time.monotonic() - self.said >= HEARTBEAT_SECONDS:
            self.said = time.monotonic()
            print(f"{self.what}: {done}/{total}{self._left(done, total)} {note}".rstrip(), file=sys.stderr, flush=True)

    def _draw(self, done: int, total: int, note: str) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=self.first or 0, desc=self.what, dynamic_ncols=True, smoothing=0.1)
        self.bar.total = total
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(done - self.bar.n)

    def _left(self, done: int, total: int) -> str:
        worked = done - (self.first or 0)
        if worked <= 0 or done >= total:
            return f" in {duration(time.monotonic() - self.started)}"
        return f", {duration((time.monotonic() - self.started) * (total - done) / worked)} left"

    def close(self) -> None:
        """End the bar's line."""
        if self.bar is not None:
            self.bar.close()


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """A progress display for one piece of work."""
    display = Bar(what)
    try:
        yield display
    finally:
        display.close()


def duration(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(message: str) -> None:
    """A line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)
