"""Checks of a folder of scores."""

from __future__ import annotations

from collections.abc import Iterator

from weatherml.doctor.finding import Finding, Subject, ok, problem
from weatherml.files import read_json
from weatherml.verify.scores.output import FILES


def scores(subject: Subject) -> Iterator[Finding]:
    """The three files, and that the numbers read."""
    lost = [name for name in FILES if not (subject.path / name).is_file()]
    if lost:
        yield problem(f"{', '.join(lost)}: not there", "evaluate again with `wml evaluate --overwrite`")
    else:
        found = read_json(subject.path / FILES[-1])
        yield ok(f"scores of {', '.join(found['forecasts'])}")
