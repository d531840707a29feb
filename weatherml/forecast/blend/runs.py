"""Runs that are to be blended: opened, and alike in what a blend depends on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from weatherml.errors import BadDataError, UsageError
from weatherml.forecast.blend.config import BlendConfig
from weatherml.run.directory import Run, open_run
from weatherml.run.lineage import Lineage
from weatherml.run.sequences import SequenceLineage
from weatherml.variables import Variable

logger = logging.getLogger(__name__)


def open_runs(paths: Sequence[Path]) -> list[Run]:
    """Open several runs of one task.

    Raises:
        UsageError: fewer than two, one given twice, or runs of different tasks.
        MissingInputError: a run that is not there.
    """
    if len(paths) < 2:
        raise UsageError("--combine: there is one run, and nothing to blend it with; give --run for each of several")
    resolved = [path.resolve() for path in paths]
    for path in paths:
        if resolved.count(path.resolve()) > 1:
            raise UsageError(f"--run {path}: given twice; name each run once")
    runs = [open_run(path) for path in paths]
    first = runs[0].lineage.task
    for run in runs[1:]:
        if run.lineage.task != first:
            raise UsageError(
                f"{run.path}: its task is {run.lineage.task}, that of {runs[0].path} {first}; blend runs of one task"
            )
    return runs


def names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The runs' names; their paths where two have the same."""
    short = tuple(run.path.resolve().name for run in runs)
    return short if len(set(short)) == len(short) else tuple(str(run.path) for run in runs)


def common_targets(runs: Sequence[Run], config: BlendConfig) -> list[str]:
    """The names of what all runs predict, in the first one's order.

    Raises:
        BadDataError: nothing in common, other units, another grid or step; or a target that one run lacks, unless
            the configuration leaves those out.
    """
    for run in runs[1:]:
        _require_grid(runs[0], run)
    predicted = [_targets(run.lineage) for run in runs]
    everything = {name: target for each in predicted for name, target in each.items()}
    common = [name for name in everything if all(name in each for each in predicted)]
    for run, each in zip(runs, predicted, strict=True):
        _require_all(run, each, everything, left_out=config.channels == "common")
    if not common:
        raise BadDataError(f"{runs[0].path}, {runs[1].path}: predict nothing in common; blend runs of the same targets")
    return common


def _targets(lineage: Lineage | SequenceLineage) -> dict[str, Variable]:
    targets = lineage.variables if isinstance(lineage, Lineage) else lineage.targets
    return {target.name: target for target in targets}


def _require_grid(first: Run, other: Run) -> None:
    for what in ("shape", "grid", "step_seconds"):
        ours, theirs = (getattr(run.lineage, what, None) for run in (first, other))
        if ours != theirs:
            raise BadDataError(f"{other.path}: {what} is {theirs}, that of {first.path} {ours}; blend runs of one grid")


def _require_all(run: Run, ours: dict[str, Variable], everything: dict[str, Variable], *, left_out: bool) -> None:
    for name, target in everything.items():
        if name not in ours:
            if not left_out:
                raise BadDataError(
                    f"{run.path}: does not predict {name}, another run does; leave it out with --set channels=common"
                )
            logger.warning("%s: does not predict %s, which is left out of the blend", run.path, name)
        elif ours[name].units != target.units:
            raise BadDataError(
                f"{run.path}: {name} in {ours[name].units}, another run's in {target.units}; prepare their data alike"
            )
