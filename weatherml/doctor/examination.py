"""Every check of what lies at a path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from weatherml.doctor import forecasts, runs, scores, stores
from weatherml.doctor.finding import Check, Finding, Subject, note, ok, problem, run_check
from weatherml.doctor.kinds import Kind, kind_of, outputs
from weatherml.doctor.leftovers import Leftover, holder, leftovers, needed, rescue
from weatherml.errors import MissingInputError

CHECKS: Mapping[Kind, tuple[Check, ...]] = {
    "dataset": (stores.dataset, stores.chunks, stores.times, stores.quality),
    "sequences": (stores.sequences, stores.chunks, stores.notes),
    "run": (runs.run, runs.configuration, runs.state, runs.checkpoints, runs.data),
    "bundle": (runs.run,),
    "forecast": (forecasts.forecast, forecasts.chunks, forecasts.leads, forecasts.declared, forecasts.values),
    "predictions": (stores.predictions,),
    "scores": (scores.scores,),
}
"""By kind, in this order; a later check is left out where the first finds that nothing can be read."""


def examine(path: Path, *, deep: bool = False) -> Iterator[Finding]:
    """What is to be said of an output, or of each one in a folder.

    Raises:
        MissingInputError: nothing there, or nothing of ours.
    """
    strays = list(leftovers(path))
    found = {each: kind for each in outputs(path) if (kind := kind_of(each)) is not None}
    if not found and not strays:
        raise MissingInputError(f"{path}: nothing of ours there; give a dataset, run, forecast or scores")
    for each, kind in found.items():
        yield from _examine(Subject(path=each, deep=deep), kind)
    yield from map(stray, strays)


def _examine(subject: Subject, kind: Kind) -> Iterator[Finding]:
    for number, check in enumerate(CHECKS[kind]):
        said = list(run_check(check, subject))
        yield from said
        if number == 0 and any(each.level == "problem" for each in said):
            return


def stray(found: Leftover) -> Finding:
    """What is to be said of a writer's leftover."""
    at_work, reason, clean = holder(found.guard), needed(found), f"`wml clean {found.path.parent}`"
    if at_work:
        finding = ok(f"{at_work} is writing {found.guard}")
    elif reason:
        finding = problem(f"{found.path} waits for its name: {reason}", rescue(found))
    elif found.form == "partial":
        finding = note(f"{found.path} is unfinished", f"run its command again to go on, or {clean}")
    else:
        finding = note(f"{found.path} was left by a killed writer", clean)
    return replace(finding, about=str(found.output), check="leftovers")
