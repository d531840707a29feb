"""Which sequences there are, and that no two parts share a pixel, a date or a scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.sources.imagery.lattice import PatchSplit, agreed, cut, parts, runs, starts
from weatherml.sources.sequences import NO_PART, PARTS

DAY = np.timedelta64(86400, "s")
TIMES = np.datetime64("2020-01-01T00:00:00", "s") + np.array([0, 10, 20, 66, 70, 80]) * DAY


def test_patches_end_inside_the_scene() -> None:
    assert list(starts(100, 32, 16)) == [0, 16, 32, 48, 64]
    assert list(starts(64, 64, 64)) == [0]
    assert list(starts(63, 64, 64)) == []


def test_sequences_skip_cloudy_dates_and_end_at_gaps() -> None:
    found, apart = runs(TIMES, np.array([1, 0, 1, 1, 1, 1], bool), length=3, max_gap=45 * DAY)
    assert found.tolist() == [[3, 4, 5]]
    assert apart == 2  # 20 to 66 is 46 days, which two of the sequences hold
    allowed, _ = runs(TIMES, np.array([1, 0, 1, 1, 1, 1], bool), length=3, max_gap=46 * DAY)
    assert allowed.tolist() == [[0, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert runs(TIMES, np.zeros(6, bool), length=3, max_gap=45 * DAY)[0].shape == (0, 3)


def test_a_patch_needs_its_own_clear_share() -> None:
    clear = np.ones((6, 8, 16), bool)
    clear[1, :, 8:14] = False  # 25 % of the second patch is left
    found = cut(TIMES, clear, size=8, stride=8, length=3, max_gap=46 * DAY, min_clear=0.7)
    assert (found.images, found.cloudy) == (12, 1)
    assert found.dates[found.columns == 0][0].tolist() == [0, 1, 2]
    assert found.dates[found.columns == 8][0].tolist() == [0, 2, 3]
    exactly = cut(TIMES, clear, size=8, stride=8, length=3, max_gap=46 * DAY, min_clear=0.25)
    assert exactly.cloudy == 0


def test_parts_of_a_lattice_with_overlap() -> None:
    first = np.array([0, 16, 32, 48, 64])
    part = parts(first, first + 32, PatchSplit(validation=0.2, test=0.2))
    # test begins at 64; 48 reaches into it; validation is 32; 16 reaches into that
    assert part.tolist() == [0, NO_PART, 1, NO_PART, 2]


@given(
    first=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    extent=st.integers(1, 12),
    validation=st.sampled_from([0.0, 0.15, 0.4]),
    test=st.sampled_from([0.0, 0.15, 0.4]),
)
def test_no_two_parts_have_a_point_in_common(first: list[int], extent: int, validation: float, test: float) -> None:
    begin = np.array(first)
    part = parts(begin, begin + extent, PatchSplit(validation=validation, test=test))
    covered = [
        {point for start in begin[part == number] for point in range(start, start + extent)}
        for number in range(len(PARTS))
    ]
    assert len(set.union(*covered)) == sum(map(len, covered))
    assert bool(covered[2]) == (test > 0)


def test_several_criteria_must_agree() -> None:
    columns, dates = np.array([0, 0, 2, 2, NO_PART]), np.array([0, 2, 2, NO_PART, 0])
    assert agreed([columns, dates]).tolist() == [0, NO_PART, 2, NO_PART, NO_PART]


def test_a_split_must_leave_something() -> None:
    with pytest.raises(ValueError, match="leave nothing to train on"):
        PatchSplit(validation=0.5, test=0.5)
