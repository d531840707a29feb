"""Errors and their exit codes, from the classes."""

from __future__ import annotations

import inspect

from markdown_text import code, prose, table

from weatherml import errors


def exit_codes() -> str:
    """A row a class of errors."""
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]
    raised = sorted((each for each in found if "exit_code" in vars(each)), key=lambda each: each.exit_code)
    rows = [(str(each.exit_code), code(each.__name__), prose(inspect.getdoc(each) or "")) for each in raised]
    return table(("exit code", "class", "meaning"), rows)
