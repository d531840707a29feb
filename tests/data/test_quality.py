"""What is impossible is masked and said; what is mostly impossible is left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from weatherml.data.packing import FILL, choose_packing, unpack
from weatherml.data.quality import check, check_and_pack, gaps
from weatherml.errors import BadDataError
from weatherml.variables import TABLE

T2M = TABLE["t2m"]
PACKING = choose_packing(T2M, np.nan, np.nan)


def field(*wrong: float) -> np.ndarray:
    """100 temperatures from 280 K on, the first ones replaced."""
    values = 280 + np.arange(100, dtype=np.float32) / 8
    values[: len(wrong)] = wrong
    return values.reshape(10, 10)


def test_a_sound_field_passes_unchanged() -> None:
    checked = check_and_pack({"t2m": field()}, (T2M,), (PACKING,))
    assert checked.findings == ()
    assert np.array_equal(unpack(checked.fields["t2m"].decoded(), PACKING), field())


@pytest.mark.parametrize("wrong", [(150.0,), (999.0, 150.0), (np.inf,), (-np.inf, np.inf, 1.0)])
def test_impossible_points_are_masked_and_counted(wrong: tuple[float, ...]) -> None:
    checked = check_and_pack({"t2m": field(*wrong)}, (T2M,), (PACKING,))
    assert (checked.fields["t2m"].decoded() == FILL).sum() == len(wrong)
    (finding,) = checked.findings
    assert (finding["finding"], finding["points"], finding["valid"]) == ("masked", len(wrong), (205.0, 335.0))
    json.dumps(finding, allow_nan=False)


def test_more_than_a_twentieth_impossible_is_refused() -> None:
    check_and_pack({"t2m": field(*[0.0] * 5)}, (T2M,), (PACKING,))
    with pytest.raises(BadDataError, match=r"t2m: 6 of 100 points outside \[205, 335\] K; check units and grid"):
        check_and_pack({"t2m": field(*[0.0] * 6)}, (T2M,), (PACKING,))


def test_the_share_counts_known_points_alone() -> None:
    mostly_missing = np.where(np.arange(100).reshape(10, 10) < 90, np.nan, field())
    mostly_missing[9, 9] = 0.0  # 1 of 10 known
    with pytest.raises(BadDataError, match="1 of 10 points"):
        check(mostly_missing, T2M, PACKING)


def test_rounding_over_a_bound_is_taken_back() -> None:
    refc = TABLE["refc"]
    packing = choose_packing(refc, np.nan, np.nan)
    cleaned, findings = check(np.array([[-10.01, 5.0]]), refc, packing)
    assert cleaned.tolist() == [[-10.0, 5.0]]
    assert findings == []


def test_constant_fields_are_said_unless_ordinary() -> None:
    assert check(np.full((3, 3), 290.0), T2M, PACKING)[1][0]["finding"] == "constant"
    refc = TABLE["refc"]
    assert check(np.full((3, 3), -10.0), refc, choose_packing(refc, np.nan, np.nan))[1] == []


@pytest.mark.parametrize("frame", [{}, {"t2m": np.full((2, 2), np.nan)}])
def test_an_absent_or_empty_variable_leaves_the_time_out(frame: dict[str, np.ndarray]) -> None:
    with pytest.raises(BadDataError, match=r"t2m: .* the time is left out"):
        check_and_pack(frame, (T2M,), (PACKING,))


def test_gaps_are_listed() -> None:
    times = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T04"], "datetime64[s]")
    assert gaps(times, np.timedelta64(3600, "s")) == ["2024-01-01T02:00:00Z", "2024-01-01T03:00:00Z"]


@pytest.mark.parametrize("over", [0.0, 0.01])
def test_a_whole_field_is_treated_as_one_with_missing_points(over: float) -> None:
    whole = np.linspace(-10 - over, 60, 100, dtype=np.float32).reshape(10, 10)
    with_gap = whole.copy()
    with_gap[5, 5] = np.nan
    refc = TABLE["refc"]
    packing = choose_packing(refc, np.nan, np.nan)
    one, other = (check(values, refc, packing) for values in (whole, with_gap))
    there = ~np.isnan(with_gap)
    assert np.array_equal(one[0][there], other[0][there])
    assert one[0].dtype == other[0].dtype == np.float32
    assert one[1] == other[1] == []
