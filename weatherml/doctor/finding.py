"""What a check says: how bad, what, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from weatherml.errors import WMLError

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a report.

    Attributes:
        level: `problem` where something is broken or lost, `note` where it is good to know.
        what: was found.
        todo: about it, a command where there is one; empty where there is nothing to do.
        about: the path that was looked at, or the part of the installation.
        check: the name of the check.
    """

    level: Level
    what: str
    todo: str = ""
    about: str = ""
    check: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is looked at.

    Attributes:
        path: where it lies.
        deep: read every byte of it.
    """

    path: Path
    deep: bool = False


Check = Callable[[Subject], Iterable[Finding]]
"""Looks at one thing, changes nothing; its name says at what."""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(level="ok", what=what)


def note(what: str, todo: str = "") -> Finding:
    """Good to know."""
    return Finding(level="note", what=what, todo=todo)


def problem(what: str, todo: str) -> Finding:
    """Broken, or lost."""
    return Finding(level="problem", what=what, todo=todo)


def failure(error: Exception) -> Finding:
    """An error as a problem; ours end with what to do."""
    if isinstance(error, WMLError):
        what, _, todo = str(error).rpartition("; ")
        return problem(what or todo, todo if what else "")
    return problem(f"{type(error).__name__}: {error}", "restore it from a copy, or make it again")


def run_check(check: Check, subject: Subject) -> Iterator[Finding]:
    """What a check finds; an error that ends it is the last of its findings."""
    try:
        for finding in check(subject):
            yield replace(finding, about=str(subject.path), check=check.__name__)
    except Exception as error:  # noqa: BLE001 - what is broken may break a check in any way
        yield replace(failure(error), about=str(subject.path), check=check.__name__)
