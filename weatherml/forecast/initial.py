"""Which initial times a forecast starts from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.store import Dataset
from weatherml.data.windows import complete, covered, evenly, require_covered, windows
from weatherml.errors import BadDataError, ConfigError, MissingInputError, UsageError
from weatherml.sources.base import utc

Array = npt.NDArray[Any]
SPREAD = 16
"""Initial times taken where none is named: this many of the test part, evenly spread."""
PART = re.compile(r"test(:(?P<hours>[1-9]\d?)h)?")
"""The test part: all of it, or the times that are so many hours apart, counted from midnight UTC."""


def initial_indices(dataset: Dataset, wanted: Sequence[str], *, history: int, steps: int = 1) -> Array:
    """Indices of the dataset's times to start from, increasing.

    External forcing, where the dataset has any, must cover the steps from a time that is named; of the test part
    those times are taken for which it does.

    Args:
        dataset: where the states come from.
        wanted: ISO times, `last`, `test` (every initial time of the test part), `test:6h` (those at 00, 06, 12 and
            18 UTC); empty takes `SPREAD` of `test`.
        history: T, the states that must stand before and at an initial time.
        steps: of the forecasts.

    Raises:
        UsageError: none of these.
        MissingInputError: a time that is not in the dataset, or whose history is not; no time at such hours.
        BadDataError: a test part without initial times, or an hour that external forcing does not cover.
    """
    usable = complete(dataset.times, dataset.step, history) + history - 1
    if len(usable) == 0:
        raise BadDataError(f"{dataset.path}: no {history} states one step apart to start from")
    if not wanted:
        return evenly(_test(dataset, history, steps), SPREAD)
    chosen = [_chosen(dataset, each, usable, history, steps) for each in wanted]
    indices = np.unique(np.concatenate(chosen))
    require_covered(dataset, indices, steps)
    return indices


def _chosen(dataset: Dataset, wanted: str, usable: Array, history: int, steps: int) -> Array:
    part = PART.fullmatch(wanted)
    if part is None:
        return _named(dataset, wanted, usable, history)
    found = _test(dataset, history, steps)
    if part["hours"] is None:
        return found
    since_midnight = (dataset.times[found] - dataset.times[found].astype("datetime64[D]")).astype(int)
    kept = found[since_midnight % (3600 * int(part["hours"])) == 0]
    if len(kept) == 0:
        raise MissingInputError(f"--init {wanted}: {dataset.path} has no initial time at these hours; give `test`")
    return np.asarray(kept)


def _named(dataset: Dataset, wanted: str, usable: Array, history: int) -> Array:
    if wanted == "last":
        return np.asarray(usable[-1:])
    time = parse_time(wanted)
    found = np.asarray(usable[dataset.times[usable] == time])
    if len(found) == 0:
        raise MissingInputError(
            f"--init {wanted}: {dataset.path} has no {history} state(s) up to that time; its times run from "
            f"{dataset.times[0]}Z to {dataset.times[-1]}Z"
        )
    return found


def _test(dataset: Dataset, history: int, steps: int) -> Array:
    return covered(dataset, windows(dataset, "test", history=history, lead=1), steps)


def parse_time(text: str) -> np.datetime64:
    """An ISO 8601 time, UTC where it names no zone.

    Raises:
        UsageError: not a time.
    """
    try:
        return utc(text, "--init")
    except ConfigError:
        raise UsageError(f"--init {text}: not an ISO time, `last`, `test` or `test:6h`") from None
