"""What goes wrong, in the user's words, and the exit code that scripts see."""


class WMLError(Exception):
    """A failure that the user can act on: `<file, variable or time>: <what>; <what to do>`.

    The command line prints it as one line, `error: ...`, and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(WMLError):
    """Options that contradict each other, or a value that cannot be read."""

    exit_code = 2


class BadDataError(WMLError):
    """Data that is broken or does not match what it is used with."""

    exit_code = 65


class MissingInputError(WMLError):
    """An input that is not there."""

    exit_code = 66


class UnavailableError(WMLError):
    """A device, or memory on it, that is not to be had."""

    exit_code = 69


class OutputError(WMLError):
    """An output that exists, is locked by another process or cannot be written."""

    exit_code = 73


class DiskError(WMLError):
    """A full disk, or a device that fails to read or write."""

    exit_code = 74


class TemporaryError(WMLError):
    """A failure that passes: run the same command again."""

    exit_code = 75


class ConfigError(WMLError):
    """A configuration that cannot be used: an unknown key, a wrong type, a value out of range."""

    exit_code = 78


class StoppedError(WMLError):
    """A signal stopped the command after it saved its state."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


WORDLESS = (LookupError, TypeError, AttributeError)
"""Errors whose words say little without their kind."""


def reason(error: BaseException) -> str:
    """What an error of another library says, in one short line."""
    words, kind = " ".join(str(error).split())[:200], type(error).__name__
    if isinstance(error, WORDLESS):
        return f"{kind}: {words}"
    return words or kind
