"""Which times make a case: splits with a gap between, windows that cross neither gap nor split."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.external import external_of
from weatherml.data.store import PARTS, Dataset, Part
from weatherml.errors import BadDataError
from weatherml.sources.base import Split

Array = npt.NDArray[Any]
GAP_HOURS = 24.0
SHORT_GAP = 0.05


def split_times(times: Array, split: Split) -> dict[Part, tuple[np.datetime64, np.datetime64]]:
    """First and last time of train, validation and test; an empty part ends before it begins."""
    step = np.diff(times).min() if len(times) > 1 else np.timedelta64(3600, "s")
    gap = gap_steps(times, step, split)
    validation, test = (round(share * len(times)) for share in (split.validation, split.test))
    train = len(times) - validation - test - gap * ((validation > 0) + (test > 0))
    if train < 1:
        raise BadDataError(f"{len(times)} times: too few to split with a gap of {gap} between; set split.gap_hours=0")
    starts = {"train": 0, "validation": train + gap, "test": len(times) - test}
    lengths = {"train": train, "validation": validation, "test": test}
    return {name: _ends(times, starts[name], lengths[name], step) for name in PARTS}


def gap_steps(times: Array, step: np.timedelta64, split: Split) -> int:
    """Steps left out between two parts."""
    if split.gap_hours is not None:
        return round(split.gap_hours * np.timedelta64(3600, "s") / step)
    day = GAP_HOURS * np.timedelta64(3600, "s") / step
    return max(1, round(min(day, SHORT_GAP * len(times)))) if len(times) > 2 else 0


def _ends(times: Array, start: int, length: int, step: np.timedelta64) -> tuple[np.datetime64, np.datetime64]:
    if length == 0:
        return times[-1] + step, times[-1]
    return times[start], times[start + length - 1]


def windows(dataset: Dataset, part: Part, *, history: int, lead: int) -> Array:
    """(N,) indices of the initial times of a part's complete windows.

    A window is `history` states that end at the initial time and `lead` states after it, one step
    apart, all within the part and covered by the external forcing, where the dataset has any.

    Raises:
        BadDataError: the part has none.
    """
    indices = dataset.part(part)
    starts = complete(dataset.times[indices], dataset.step, history + lead)
    if len(starts) == 0:
        raise BadDataError(
            f"{dataset.path}: {part} has no window of {history} + {lead} states among its {len(indices)} times; "
            "prepare more times, or shorten data.history"
        )
    return covered(dataset, np.asarray(indices[starts] + history - 1), lead)


def covered(dataset: Dataset, initial: Array, steps: int) -> Array:
    """Those of N initial times, indices, from which external forcing covers `steps` steps; all where there is none.

    Raises:
        BadDataError: it covers none; says why of the first.
    """
    external = external_of(dataset)
    if external is None:
        return initial
    valid, init_times = valid_times(dataset, initial, steps)
    there = external.covered(valid, init_times).reshape(-1, steps).all(axis=1)
    if not there.any():
        external.between(valid[:steps], init_times[:steps])
    return initial[there]


def require_covered(dataset: Dataset, initial: Array, steps: int) -> None:
    """Raise BadDataError unless external forcing, if any, covers `steps` steps from each of some initial times."""
    external = external_of(dataset)
    if external is not None:
        external.between(*valid_times(dataset, initial, steps))


def valid_times(dataset: Dataset, initial: Array, steps: int) -> tuple[Array, Array]:
    """The valid times of `steps` steps from each of N indices, and the initial time of each; both (N * steps,)."""
    init_times = dataset.times[initial].repeat(steps)
    return init_times + np.tile(np.arange(1, steps + 1), len(initial)) * dataset.step, init_times


def complete(times: Array, step: np.timedelta64, length: int) -> Array:
    """Positions where `length` consecutive times begin with no gap."""
    if len(times) < length:
        return np.array([], dtype=np.int64)
    spans = times[length - 1 :] - times[: len(times) - length + 1]
    return np.flatnonzero(spans == (length - 1) * step)


def evenly(values: Array, count: int) -> Array:
    """At most `count` of the values, spread over all of them from the first to the last."""
    return np.asarray(values[np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)])
