"""Checks of a folder of scores."""

from __future__ import annotations

from collections.abc import Iterator

from weatherml.doctor.finding import Finding, Subject, note, ok
from weatherml.seal import VOUCHED
from weatherml.verify.scores.output import read_scores


def scores(subject: Subject) -> Iterator[Finding]:
    """The numbers, and the files beside them, as they were written."""
    found = read_scores(subject.path)
    yield ok(f"scores of {', '.join(found['forecasts'])}")
    if not found[VOUCHED]:
        yield note("made by a version that kept no hashes of its files")
