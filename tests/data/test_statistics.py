"""Statistics merge like the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weatherml.data.statistics import STATISTICS, Moments, Statistics, VariableMoments

values = arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e3, 1e3, width=32))


@given(st.lists(values, min_size=1, max_size=6))
def test_parts_together_equal_numpy_on_the_whole(parts: list[np.ndarray]) -> None:
    whole = np.concatenate(parts)
    merged = sum((Moments.of(part) for part in parts), Moments())
    assert merged.count == whole.size
    if whole.size:
        assert merged.mean == pytest.approx(whole.mean(), rel=1e-9, abs=1e-9)
        assert merged.std == pytest.approx(whole.std(), rel=1e-9, abs=1e-9)
        assert (merged.min, merged.max) == (whole.min(), whole.max())
        assert merged.zeros == (whole == 0).sum()


def test_golden() -> None:
    # mean (1 + 2 + 6) / 3 = 3; squares 4 + 1 + 9 = 14
    moments = Moments.of(np.array([1.0, np.nan])) + Moments.of(np.array([2.0, 6.0, np.inf]))
    assert (moments.count, moments.mean, moments.m2) == (3, 3.0, 14.0)


def test_a_large_mean_loses_no_deviation() -> None:
    parts = [np.array([1e9, 1e9 + 1]), np.array([1e9 + 2, 1e9 + 3])]
    # deviations -1.5, -0.5, 0.5, 1.5: variance (2.25 + 0.25) * 2 / 4 = 1.25
    assert sum(map(Moments.of, parts), Moments()).std == pytest.approx(1.25**0.5, rel=1e-12)


@given(st.floats(-1e6, 1e6), st.integers(1, 50), st.integers(1, 50))
def test_a_constant_has_no_deviation_at_all(value: float, one: int, other: int) -> None:
    assert (Moments.of(np.full(one, value)) + Moments.of(np.full(other, value))).std == 0


def test_an_empty_set_is_neutral() -> None:
    some = Moments.of(np.array([1.0, 4.0]))
    assert some + Moments() == some
    assert Moments() + some == some
    assert VariableMoments().finish()["std"] == 0


def test_settings_round_trip_and_selection() -> None:
    statistics = Statistics(**{name: np.arange(3.0) + i for i, name in enumerate(STATISTICS)})
    again = Statistics.from_settings(statistics.settings())
    assert again.settings() == statistics.settings()
    assert statistics.select([2, 0]).mean.tolist() == [2.0, 0.0]
