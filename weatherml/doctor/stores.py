"""Checks of datasets, of fields and of sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from weatherml.data.integrity import faults
from weatherml.data.quality import gaps
from weatherml.data.sequences.predictions import open_predictions
from weatherml.data.sequences.store import open_sequences
from weatherml.data.store import open_dataset
from weatherml.doctor.finding import Finding, Subject, failure, note, ok
from weatherml.files import read_json

MOST_FAULTS = 20


def dataset(subject: Subject) -> Iterator[Finding]:
    """Marker, schema, and metadata against their hashes."""
    found = open_dataset(subject.path)
    names = ", ".join(found.names)
    yield ok(f"{len(found.times)} times from {found.times[0]}Z to {found.times[-1]}Z of {names}")


def sequences(subject: Subject) -> Iterator[Finding]:
    """Marker, schema, and metadata against their hashes."""
    found = open_sequences(subject.path)
    names = ", ".join(variable.name for variable in found.variables)
    yield ok(f"{len(found.series)} series to {found.task}, of {names}")


def predictions(subject: Subject) -> Iterator[Finding]:
    """A file of predictions, read whole."""
    found = open_predictions(subject.path)
    yield ok(f"{len(found.series)} series of {', '.join(found.values)}")


def chunks(subject: Subject) -> Iterator[Finding]:
    """The files of every array: there, and with `deep` as their checksums say."""
    found = [failure(fault) for fault in islice(faults(subject.path, read=subject.deep), MOST_FAULTS)]
    yield from found
    if len(found) == MOST_FAULTS:
        yield note("perhaps more: no further files were looked at")
    if not found:
        yield ok("every chunk matches its checksum") if subject.deep else note("every file is there", "--deep reads it")


def times(subject: Subject) -> Iterator[Finding]:
    """Hours that are missing between the first and the last."""
    found = open_dataset(subject.path)
    missing = gaps(found.times, found.step)
    if missing:
        yield note(f"{len(missing)} times missing, the first {missing[0]}", "prepare again once the archive has them")
    else:
        yield ok("no gap in time")


def quality(subject: Subject) -> Iterator[Finding]:
    """Hours that were left out for what was in them, and values out of range."""
    report = read_json(subject.path / "quality.json")
    for name in ("quarantined", "findings"):
        if report[name]:
            first = next(iter(report[name].items())) if name == "quarantined" else report[name][0]
            yield note(f"{len(report[name])} {name}, the first {first}", f"see {subject.path / 'quality.json'}")
    if not report["quarantined"] and not report["findings"]:
        yield ok("nothing quarantined, nothing out of range")


def notes(subject: Subject) -> Iterator[Finding]:
    """What preparing the sequences had to say."""
    for line in read_json(subject.path / "quality.json")["notes"]:
        yield note(line)
