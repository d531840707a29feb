"""A command that gets signals while it catches them: as a process of its own, which `fork_server` starts."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

from cli.main import app
from weatherml.signals import StopRequest

ENTRY = "tests.faults.stops:main"


def main(arguments: Sequence[str]) -> None:
    """Run a command; `NUMBER TIMES COMMAND...`: the signal comes so many times once it is caught and a file renamed."""
    number, times, *command = arguments
    left = int(times)

    def interrupt(event: str, _: object) -> None:
        nonlocal left
        if event != "os.rename" or threading.current_thread() is not threading.main_thread():
            return
        caught = isinstance(signal.getsignal(int(number)), StopRequest)
        while caught and left:
            left -= 1
            signal.raise_signal(int(number))

    sys.addaudithook(interrupt)
    app(command)
