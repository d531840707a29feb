"""Checks of runs: configuration, state, checkpoints, and whether the data are still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weatherml.doctor.finding import Finding, Subject, failure, note, ok, problem
from weatherml.doctor.leftovers import holder
from weatherml.errors import BadDataError
from weatherml.run import checkpoint
from weatherml.run.directory import Run, load_weights, open_run
from weatherml.seal import VOUCHED, read_description


def run(subject: Subject) -> Iterator[Finding]:
    """Schema, and whether its files read."""
    found = open_run(subject.path)
    yield ok(f"{found.experiment.model.kind} of {', '.join(found.lineage.names)}")


def configuration(subject: Subject) -> Iterator[Finding]:
    """Whether the configuration is that which the run began with; opening the run compares the hashes."""
    open_run(subject.path)
    if read_description(subject.path / "data.json", "run")[VOUCHED]:
        yield ok("the configuration matches its hash")
    else:
        yield note("made by a version that kept no hash of its configuration")


def state(subject: Subject) -> Iterator[Finding]:
    """Where training stands, and whether what was fitted at its end is as it was."""
    found = open_run(subject.path)
    status, fit = found.status(), found.calibration()
    where = f"{status['state']} at step {status['step']}"
    go_on = f"`wml train --run {subject.path}` and its other options go on"
    at_work = holder(subject.path)
    if status["state"] == "finished":
        yield ok(where)
    elif at_work:
        yield ok(f"{where}; {at_work} is at it")
    elif status["state"] == "failed":
        yield problem(f"{where}: {status.get('error')}", f"see {subject.path / 'log.txt'}; {go_on}")
    else:
        yield note(where, go_on)
    if fit:
        yield ok("its calibration reads")


def checkpoints(subject: Subject) -> Iterator[Finding]:
    """Each checkpoint whole, with `deep` its weights those of the model."""
    found = open_run(subject.path)
    folders = sorted(path for path in found.checkpoints.glob("[!.]*") if path.is_dir())
    for folder in folders:
        yield _checkpoint(found, folder, deep=subject.deep)
    if not folders and found.learns:
        yield note("no checkpoint yet", f"train it: `wml train --run {subject.path}` and its other options")


def _checkpoint(found: Run, folder: Path, *, deep: bool) -> Finding:
    try:
        checkpoint.verify(folder)
        if deep:
            load_weights(found.build_model(), checkpoint.load(folder).average, found.path)
    except BadDataError as error:
        return failure(error)
    return ok(f"checkpoints/{folder.name} is whole")


def data(subject: Subject) -> Iterator[Finding]:
    """The dataset that it was trained on."""
    path = open_run(subject.path).lineage.dataset
    if Path(path).exists():
        yield ok(f"{path}, its dataset, is there")
    else:
        yield note(f"{path}, its dataset, is not there", "name one with --data")
