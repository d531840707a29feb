"""Windows cross neither a gap nor a split, and the splits leave their gap."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.data.store import PARTS, Dataset
from weatherml.data.windows import split_times, windows
from weatherml.errors import BadDataError
from weatherml.sources.base import Split

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-01-01T00:00:00", "s")


def dataset(times: np.ndarray, split: Split) -> Any:
    """As much of a dataset as windows need."""
    found = SimpleNamespace(path="d.zarr", times=times, step=HOUR, splits=split_times(times, split))
    found.part = lambda name: Dataset.part(found, name)  # type: ignore[arg-type]
    return found


@given(st.sets(st.integers(0, 300), min_size=20), st.integers(1, 4), st.integers(1, 3), st.integers(0, 12))
def test_windows_never_cross_a_gap_or_a_split(present: set[int], history: int, lead: int, gap: int) -> None:
    times = START + np.array(sorted(present)) * HOUR
    data = dataset(times, Split(gap_hours=gap) if len(times) > 2 * gap + 15 else Split())
    for part in PARTS:
        first, last = data.splits[part]
        try:
            initial = windows(data, part, history=history, lead=lead)
        except BadDataError:
            continue
        for index in initial:
            window = times[index - history + 1 : index + lead + 1]
            assert len(window) == history + lead
            assert (np.diff(window) == HOUR).all()
            assert first <= window[0]
            assert window[-1] <= last


@given(st.integers(3, 400))
def test_every_window_is_found_where_nothing_is_absent(count: int) -> None:
    data = dataset(START + np.arange(count) * HOUR, Split(validation=0, test=0))
    assert windows(data, "train", history=2, lead=1).tolist() == list(range(1, count - 1))


@given(st.integers(60, 2000), st.floats(0, 0.4), st.floats(0, 0.4), st.one_of(st.none(), st.floats(0, 5)))
def test_splits_follow_each_other_with_the_gap_between(
    count: int, validation: float, test: float, gap: float | None
) -> None:
    times = START + np.arange(count) * HOUR
    splits = split_times(times, Split(validation=validation, test=test, gap_hours=gap))
    wanted = round(gap) if gap is not None else max(1, round(min(24, 0.05 * count)))
    parts = [splits[name] for name in PARTS if splits[name][0] <= splits[name][1]]
    assert parts[0][0] == times[0]
    assert parts[-1][1] == times[-1]
    for (_, before), (after, _) in itertools.pairwise(parts):
        assert after - before == (wanted + 1) * HOUR


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_times_all_train(count: int) -> None:
    data = dataset(START + np.arange(count) * HOUR, Split())
    assert len(data.part("train")) == count
    with pytest.raises(BadDataError, match="test has no window of 1 \\+ 1 states among its 0 times"):
        windows(data, "test", history=1, lead=1)


def test_too_few_times_for_the_gap_say_so() -> None:
    with pytest.raises(BadDataError, match=r"4 times: too few to split with a gap of 1 between; set split.gap_hours=0"):
        dataset(START + np.arange(4) * HOUR, Split())
    assert len(dataset(START + np.arange(5) * HOUR, Split()).part("train")) == 1  # 5 - 1 - 1 - 2 * 1
