"""From the courses of each scenario to an archive: one grid, the same dates, units that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.climate.files import Course
from weatherml.sources.climate.scenarios import Archive, Scenario
from weatherml.sources.climate.variables import FORCINGS, converted, field, forcing

Array = npt.NDArray[Any]
Courses = Mapping[str, Course]


def gathered(
    courses: Mapping[str, Courses], parts: Mapping[str, Array], targets: Sequence[str], files: Sequence[Path]
) -> Archive:
    """The archive of series of courses.

    Args:
        courses: by series, then by variable; forcings of the world, or maps, and targets.
        parts: by series, (T,) as `Scenario.part`.
        targets: the variables to learn; all others are forcings.
        files: every file read.

    Raises:
        BadDataError: a target that is no map, or series of a scenario that differ in length, dates or grid.
    """
    first = next(iter(courses.values()))
    grid = first[targets[0]].grid
    if grid is None:
        raise BadDataError(f"{targets[0]}: a series of the world where a map is to be learnt; give the model's output")
    for series, each in courses.items():
        for name, course in each.items():
            _require_alike(each[targets[0]], course, grid, f"{series}: {name}")
    inputs = [name for name in first if name not in targets]
    return Archive(
        grid=grid,
        scenarios=[
            Scenario(name=series, months=each[targets[0]].months, values=_kept(each, targets), part=parts[series])
            for series, each in courses.items()
        ],
        inputs=tuple(forcing(name, first[name].units) for name in inputs),
        targets=tuple(field(name, converted(first[name].units)[1]) for name in targets),
        files={str(path): size_of(path) for path in files},
        notes=tuple(f"{name}: not among the forcings, left out" for name in FORCINGS if name not in inputs),
    )


def _require_alike(wanted: Course, found: Course, grid: Grid, at: str) -> None:
    """Raise BadDataError where a course differs in dates or grid."""
    ours, theirs = wanted.months, found.months
    if len(ours) != len(theirs):
        raise BadDataError(f"{at}: {len(theirs)} dates where the target has {len(ours)}; give the same of both")
    if (ours != theirs).any():
        n = int(np.argmax(ours != theirs))
        raise BadDataError(f"{at}: {theirs[n]} where the target has {ours[n]}; give the same dates of both")
    if found.grid is not None and (difference := grid.difference(found.grid)):
        raise BadDataError(f"{at}: {difference}; give all on one grid")


def _kept(courses: Courses, targets: Sequence[str]) -> dict[str, Array]:
    """Values in the units that are kept."""
    return {
        name: course.values * (converted(course.units)[0] if name in targets else 1.0)
        for name, course in courses.items()
    }


def size_of(path: Path) -> int:
    """Bytes of a file or store."""
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(file.stat().st_size for file in files)
