"""Storms are drawn oftener, with known probabilities, and the weights undo it exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.data.sampling import Storms, a_pass, case_probabilities, importance, systematic
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.windows import windows
from weatherml.errors import BadDataError, ConfigError

STORMS = Storms(variable="refc", threshold=30.0, share=0.6)


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


def test_probabilities_by_hand(dataset: Dataset) -> None:
    """0.4 shared evenly, 0.6 by the area at 30 dBZ or more over the two target hours."""
    initial = windows(dataset, "train", history=1, lead=2)
    echo = dataset.read(slice(0, 72), "refc") / 64  # the packing step; nothing is missing here
    area = (echo >= 30).mean(axis=(1, 2))
    of_case = np.array([(area[i + 1] + area[i + 2]) / 2 for i in initial])
    found = case_probabilities(STORMS, dataset, initial, 2)
    assert found == pytest.approx(0.4 / len(initial) + 0.6 * of_case / of_case.sum(), rel=1e-5)
    assert found.sum() == pytest.approx(1)
    assert importance(found, np.arange(len(found))).max() <= 1 / 0.4


def test_no_activity_anywhere_is_refused(dataset: Dataset) -> None:
    initial = windows(dataset, "train", history=1, lead=1)
    # refc is at most 60 - 20 = 40 there, reached nowhere to the bit
    with pytest.raises(
        ConfigError, match=r"data\.storms: refc reaches 50 in none of 41 training cases; choose a lower"
    ):
        case_probabilities(Storms(threshold=50.0), dataset, initial, 1)


@pytest.mark.parametrize("storms", [Storms(threshold=31.0), Storms(variable="tracer", threshold=1.0)])
def test_what_was_not_kept_is_named(dataset: Dataset, storms: Storms) -> None:
    with pytest.raises(BadDataError, match=rf"{storms.variable} {storms.threshold:g}: no activity"):
        case_probabilities(storms, dataset, np.array([0, 1]), 1)


positive = st.lists(st.floats(0.01, 1), min_size=1, max_size=20)


@given(weights=positive, start=st.floats(0, 1, exclude_max=True))
def test_a_case_is_drawn_as_often_as_expected_rounded_up_or_down(weights: list[float], start: float) -> None:
    p = np.array(weights) / sum(weights)
    count = np.bincount(systematic(p, start), minlength=len(p))
    assert count.sum() == len(p)
    assert (np.abs(count - len(p) * p) < 1 + 1e-9).all()


@given(weights=positive)
def test_the_expected_number_of_draws_is_exact(weights: list[float]) -> None:
    """The mean over all starts: between two starts where a draw moves on to the next case, nothing changes."""
    p = np.array(weights) / sum(weights)
    N = len(p)
    moves = np.sort(np.append(np.cumsum(p) * N % 1, [0, 1]))
    middles, lengths = (moves[1:] + moves[:-1]) / 2, np.diff(moves)
    expected = sum(
        length * np.bincount(systematic(p, middle), minlength=N)
        for middle, length in zip(middles, lengths, strict=True)
    )
    assert expected == pytest.approx(N * p, abs=1e-9)


def test_even_probabilities_take_each_case_once() -> None:
    rng = np.random.default_rng(0)
    assert sorted(a_pass(50, np.full(50, 1 / 50), rng)) == list(range(50))
    assert sorted(a_pass(50, None, rng)) == list(range(50))


def test_the_weighted_mean_over_many_passes_is_the_plain_one() -> None:
    rng, values = np.random.default_rng(0), np.arange(20.0)
    p = 0.4 / 20 + 0.6 * values**2 / (values**2).sum()
    drawn: Any = np.concatenate([a_pass(20, p, rng) for _ in range(2000)])
    assert np.mean(values[drawn]) > 12  # storms, that is the large ones, come oftener
    assert np.mean(importance(p, drawn) * values[drawn]) == pytest.approx(9.5, rel=0.005)
