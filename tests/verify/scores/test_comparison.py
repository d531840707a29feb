"""Differences between forecasts on the same cases, with paired intervals and marks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weatherml.metrics.rmse import RMSE
from weatherml.verify.scores.bootstrap import block_draws, samples
from weatherml.verify.scores.comparison import compare, compare_all

ENOUGH = torch.tensor([True])


def scores(*values: float) -> torch.Tensor:
    """All blocks' score and those of resamples, at one lead."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def test_the_gain_is_towards_the_perfect_value() -> None:
    # a frequency bias of 0.5 against 2.0, perfect 1: |2 - 1| - |0.5 - 1| = 0.5 better, half of the reference's distance
    found = compare(scores(0.5, 0.5), scores(2.0, 2.0), perfect=1.0, enough=ENOUGH)
    assert float(found.gain) == 0.5
    assert float(found.skill) == 0.5
    assert bool(found.significant)
    # a bias of -3 against +1: |1| - |-3| = -2, worse
    assert float(compare(scores(-3.0, -3.0), scores(1.0, 1.0), perfect=0.0, enough=ENOUGH).gain) == -2.0


def test_a_perfect_reference_leaves_no_skill() -> None:
    found = compare(scores(1.0, 1.0), scores(0.0, 0.0), perfect=0.0, enough=ENOUGH)
    assert float(found.gain) == -1.0
    assert found.skill.isnan().all()


def test_the_interval_is_that_of_differences() -> None:
    """Both share good and bad days, so the difference is sure where the two intervals overlap."""
    generator = np.random.default_rng(0)
    days = generator.gamma(2.0, 2.0, 40)
    ours, theirs = days * generator.uniform(0.8, 0.95, 40), days
    draws = block_draws(40, 500, seed=7)

    def sampled(errors: np.ndarray) -> torch.Tensor:
        one = torch.ones(40, 1, dtype=torch.float64)
        return samples(RMSE(), {"squared_error": torch.from_numpy(errors**2).unsqueeze(-1), "weight": one}, draws)

    a, b = sampled(ours), sampled(theirs)
    found = compare(a, b, perfect=0.0, enough=ENOUGH)
    counts = draws.numpy()
    gains = np.sqrt(counts @ theirs**2 / 40) - np.sqrt(counts @ ours**2 / 40)
    np.testing.assert_allclose([found.low[0], found.high[0]], np.quantile(gains, [0.025, 0.975]), rtol=1e-12)
    assert float(found.gain) == pytest.approx(np.sqrt((theirs**2).mean()) - np.sqrt((ours**2).mean()))
    assert bool(found.significant)
    assert a[1:].max() > b[1:].min()  # apart they overlap


def test_no_interval_and_no_mark_without_two_blocks_or_a_score() -> None:
    one_block = compare(scores(1.0, 1.0), scores(2.0, 2.0), perfect=0.0, enough=torch.tensor([False]))
    assert float(one_block.gain) == 1.0
    assert one_block.low.isnan().all()
    assert not one_block.significant.any()
    unknown = compare(scores(np.nan, 1.0), scores(2.0, 2.0), perfect=0.0, enough=ENOUGH)
    assert unknown.gain.isnan().all()
    assert unknown.high.isnan().all()
    assert not unknown.significant.any()


def test_every_forecast_meets_the_baselines_and_then_the_others() -> None:
    sampled = {name: scores(1.0, 1.0) for name in ("a", "b", "persistence")}
    pairs = compare_all(sampled, ["a", "b"], ["persistence", "silent"], perfect=0.0, enough=ENOUGH)
    assert list(pairs) == [("a", "persistence"), ("a", "b"), ("b", "persistence"), ("b", "a")]
    assert not any(bool(found.significant) for found in pairs.values())  # a gain of 0 each time
