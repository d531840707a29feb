"""Commands as a user types them."""

from __future__ import annotations

from typer.testing import CliRunner

from cli.main import app


def wml(*arguments: object) -> tuple[int, str, str]:
    """Run a command; exit code, stdout, stderr."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def refused(code: int, words: str, *arguments: object) -> None:
    """Assert that a command fails with one line that says `words`, and this exit code."""
    got, _, stderr = wml(*arguments)
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert words in errors[0]
    assert got == code, errors[0]
