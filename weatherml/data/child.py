"""Work in a process of its own, which a broken file may crash: it is sent what to do and streams back what comes of it.

The process is a fresh interpreter: a fork would inherit locks that threads of ours hold. It does not import the
user's script, as multiprocessing's processes do, so that one without a guard prepares too.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, TypeVar

from weatherml.mortal import become_mortal

Result = TypeVar("Result")
Answer = tuple[str, Any]
"""`result`, `warning`, `error` with what it is, or `end`."""

ENVIRONMENT = {
    # fields are megabytes: memory that is given back and asked for again with each costs as much as decoding it
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Of processes that decode."""

LONGEST_S = 600.0
"""For one answer: HDF5 may loop for ever over a damaged header."""


class CrashError(Exception):
    """The process died before it was done, or did not answer."""


class Child:
    """A process that does one thing after the other.

    Attributes:
        idle: it waits for something to do.
    """

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve({theirs.fileno()})"
        with theirs:
            self.process = Popen(
                [sys.executable, "-c", program],
                stdin=PIPE,  # never written to: it ends when this process does
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for this process, which ends the child
                env=os.environ | ENVIRONMENT,
            )
        self.idle = True

    def run(self, function: Callable[..., Iterator[Result]], *arguments: Any) -> Iterator[Result]:
        """What `function` yields there; one result waits while another is made.

        Raises:
            CrashError: the process died, or took longer than `LONGEST_S` for an answer.
        """
        self.idle = False
        with _crashing():
            self.connection.send((Path.cwd(), function, arguments))
        while (answer := self._answer())[0] != "end":
            kind, value = answer
            if kind == "result":
                yield value
            elif kind == "warning":
                warnings.warn(value, stacklevel=2)
            else:
                raise value

    def _answer(self) -> Answer:
        with _crashing():
            if not self.connection.poll(LONGEST_S):
                raise CrashError
            answer: Answer = self.connection.recv()
        self.idle = answer[0] in ("end", "error")
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        with self.connection, self.process:
            self.process.kill()


@contextmanager
def _crashing() -> Iterator[None]:
    """What breaks the connection is the other end's death."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise CrashError from error


SPARE: ContextVar[list[Child] | None] = ContextVar("SPARE", default=None)


@contextmanager
def spared() -> Iterator[None]:
    """Within the block, processes that are done wait for more to do: a start takes a second."""
    if SPARE.get() is not None:
        yield
        return
    children: list[Child] = []
    token = SPARE.set(children)
    try:
        yield
    finally:
        SPARE.reset(token)
        for child in children:
            child.end()


def stream(function: Callable[..., Iterator[Result]], *arguments: Any) -> Iterator[Result]:
    """What `function` yields, in a process of its own.

    Warnings are given here, and errors raised here, with what they were there as a note.

    Args:
        function: of a module that can be imported.
        *arguments: picklable, as the results are.

    Raises:
        CrashError: the process died, or took longer than `LONGEST_S` for one result.
    """
    if os.name != "posix":  # no descriptors to hand down
        yield from function(*arguments)
        return
    spare = SPARE.get()
    child = _waiting(spare) or Child()
    try:
        yield from child.run(function, *arguments)
    finally:
        if spare is not None and child.idle:
            spare.append(child)
        else:
            child.end()


def _waiting(spare: list[Child] | None) -> Child | None:
    """One that waits and lives."""
    while spare:
        child = spare.pop()
        if child.process.poll() is None:
            return child
        child.end()
    return None


def serve(descriptor: int) -> None:
    """Do what is asked for over a connection until its other end closes; what the child runs."""
    become_mortal()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection = Connection(descriptor)
    warned: deque[Warning | str] = deque()
    warnings.showwarning = lambda message, *_: warned.append(message)
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody is left to tell
        while True:
            for answer in _answers(connection):
                while warned:
                    connection.send(("warning", warned.popleft()))
                connection.send(answer)


def _end_with_parent() -> None:
    """Whatever the parent died of, and whatever the other thread is at."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def _answers(connection: Connection) -> Iterator[Answer]:
    """To the next request."""
    try:
        folder, function, arguments = connection.recv()
        os.chdir(folder)  # paths mean the same here as there
        for result in function(*arguments):
            yield "result", result
    except Exception as error:  # noqa: BLE001 - raised in the parent
        error.add_note("".join(traceback.format_exception(error)))
        yield "error", error
    else:
        yield "end", None
