"""Sums merge over cases, and blocks give intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weatherml.metrics.rmse import RMSE
from weatherml.verify.scores.bootstrap import Curve, block_draws, blocks_of, curve, samples


def test_blocks_are_days() -> None:
    times = np.array(["2024-06-01T23", "2024-06-02T00", "2024-06-02T23", "2024-06-05T01"], dtype="datetime64[s]")
    found = blocks_of(times)
    assert list(found) == [0, 1, 2]
    assert [len(block) for block in found.values()] == [1, 2, 1]
    np.testing.assert_array_equal(np.concatenate(list(found.values())), times)


def rmse(sums: dict[str, torch.Tensor], resamples: int, seed: int) -> Curve:
    draws = block_draws(len(sums["weight"]), resamples, seed=seed)
    return curve(samples(RMSE(), sums, draws), sums["weight"])


def test_curve_and_interval() -> None:
    # three blocks of one case each, squared errors 1, 4, 9: rmse sqrt(14 / 3)
    sums = {
        "squared_error": torch.tensor([[1.0], [4.0], [9.0]], dtype=torch.float64),
        "weight": torch.ones(3, 1, dtype=torch.float64),
    }
    found = rmse(sums, 2000, seed=1)
    assert float(found.value) == pytest.approx((14 / 3) ** 0.5)
    # of 27 draws 1 is all ones and 3 are (1, 1, 4): the 5 % quantile is sqrt(6 / 3); likewise sqrt(22 / 3) above
    assert float(found.low) == pytest.approx(2**0.5)
    assert float(found.high) == pytest.approx((22 / 3) ** 0.5)


def test_one_block_gives_no_interval_and_no_case_no_value() -> None:
    sums = {name: torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64) for name in ("squared_error", "weight")}
    found = rmse(sums, 50, seed=0)
    assert float(found.value[0]) == 1.0
    assert found.value[1].isnan()
    assert found.low.isnan().all()
    assert found.high.isnan().all()


def test_draws_are_seeded_and_keep_the_number_of_blocks() -> None:
    draws = block_draws(5, 10, seed=3)
    assert draws.sum(1).tolist() == [5] * 10
    torch.testing.assert_close(draws, block_draws(5, 10, seed=3))
