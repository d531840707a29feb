"""`wml`: the commands, and how every failure becomes one line and an exit code."""

from __future__ import annotations

import errno
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.commands import add_commands
from weatherml.errors import DiskError, OutputError, UnavailableError, WMLError

ERRNO_CODES = {
    errno.ENOSPC: DiskError.exit_code,
    getattr(errno, "EDQUOT", errno.ENOSPC): DiskError.exit_code,  # Windows has no disk quota error
    errno.EIO: DiskError.exit_code,
    errno.EFBIG: DiskError.exit_code,
    errno.EACCES: OutputError.exit_code,
    errno.EPERM: OutputError.exit_code,
    errno.EROFS: OutputError.exit_code,
}


class OneLineErrors(TyperGroup):
    """Prints `error: <what>; <what to do>` and exits with the documented code; `--debug` shows the traceback."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line."""
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        warnings.showwarning = one_line_warning  # type: ignore[assignment]
        threading.excepthook = one_line_of_a_thread
        show_log()
        try:
            code = super().main(
                [each for each in arguments if each != "--debug"], **{**extra, "standalone_mode": False}
            )
        except KeyboardInterrupt:
            code = fail("stopped", 130)
        except Exception as error:  # noqa: BLE001 - the last resort: nothing may end in a traceback
            if debug:
                traceback.print_exc()
            code = fail(*explain(error))
        sys.exit(code if isinstance(code, int) else 0)


def show_log() -> None:
    """What the library logs goes to stderr, warnings marked as such."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineLog())
    handler.setLevel(logging.INFO)
    handler.addFilter(Once())
    logging.raiseExceptions = False  # a full disk is said once, by the command and not by its log
    logger = logging.getLogger("weatherml")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


class Once(logging.Filter):
    """Passes each warning once: what several parts of a command find, the user reads in one line."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is no warning, or new."""
        message = record.getMessage()
        new = record.levelno < logging.WARNING or message not in self.said
        self.said.add(message)
        return new


class OneLineLog(logging.Formatter):
    """`message`, or `warning: message`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for people; tracebacks are left to the run's log."""
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        return prefix + record.getMessage()


def one_line_warning(message: Warning | str, *context: Any) -> None:  # noqa: ARG001 - where it arose is not the user's
    """Print a warning as one line."""
    print(f"warning: {message}", file=sys.stderr)


def one_line_of_a_thread(hook: threading.ExceptHookArgs) -> None:
    """Print what ended a library's thread, TensorBoard's on a full disk say, as one line."""
    print(f"warning: {hook.exc_type.__name__}: {hook.exc_value}", file=sys.stderr)


def explain(error: Exception) -> tuple[str, int]:
    """An exception as a line for the user and an exit code."""
    if isinstance(error, WMLError):
        return str(error), error.exit_code
    if hasattr(error, "format_message"):  # the parser's own: a wrong option or argument
        return f"{error.format_message()}; see --help", getattr(error, "exit_code", 2)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's: it may not be loaded
        return f"out of memory ({error}); take less at a time, or see `wml plan --vram`", UnavailableError.exit_code
    if isinstance(error, OSError) and error.errno in ERRNO_CODES:
        return f"{error.filename or 'output'}: {error.strerror}", ERRNO_CODES[error.errno]
    return f"{type(error).__name__}: {error}; run again with --debug for the traceback", 1


def fail(message: str, code: int) -> int:
    """Print the one line and return the code."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


app = typer.Typer(
    name="wml",
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Weather archives in; trained, verified kilometre-scale forecasts out.",
)


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; goes anywhere.")] = False,
) -> None:
    """Weather archives in; trained, verified kilometre-scale forecasts out.

    The stages meet on disk: prepare, train, rollout, evaluate. Each takes the newest output of the one
    before where none is named, and says which it took.
    """


add_commands(app)
