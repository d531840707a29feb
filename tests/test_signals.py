"""The first signal asks, the second is not caught."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from weatherml.errors import StoppedError
from weatherml.signals import SIGNALS, stop_request


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_asks_and_the_next_is_not_caught(number: signal.Signals, code: int) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with stop_request() as stop:
        stop.raise_if_set("nothing yet")
        os.kill(os.getpid(), number)
        assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_DFL, signal.SIG_DFL]
        with pytest.raises(StoppedError, match="step 7 is saved; run the same command to go on") as stopped:
            stop.raise_if_set("step 7 is saved")
    assert stopped.value.exit_code == code
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_other_threads_catch_nothing() -> None:
    seen: list[int | None] = []

    def work() -> None:
        with stop_request() as stop:
            stop.raise_if_set("")
            seen.append(stop.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
