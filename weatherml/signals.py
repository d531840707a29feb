"""One signal handler: the first signal asks to stop after the step at hand, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from weatherml.errors import StoppedError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether a signal has asked to stop."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's form
        """Take the signal; a second one is not caught any more."""
        self.number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def is_set(self) -> bool:
        """Whether one came."""
        return self.number is not None

    def raise_if_set(self, message: str) -> None:
        """Raise StoppedError with the signal's exit code if one came."""
        if self.number is not None:
            raise StoppedError(f"{message}; run the same command to go on", signal_number=self.number)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catch SIGTERM and Ctrl-C within; outside the main thread, where Python takes no handlers, catch nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = [signal.signal(each, request) for each in SIGNALS]
    try:
        yield request
    finally:
        for each, handler in zip(SIGNALS, before, strict=True):
            signal.signal(each, handler)
