"""rmse, mae, bias, crps and spread-skill ratio against arithmetic and the `scores` package."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scores
import torch
import xarray as xr

from weatherml.metrics.bias import Bias
from weatherml.metrics.crps import CRPS, fair_crps
from weatherml.metrics.mae import MAE
from weatherml.metrics.reduce import area_sum
from weatherml.metrics.rmse import RMSE
from weatherml.metrics.sorting import sort_rows
from weatherml.metrics.spread_skill_ratio import SpreadSkillRatio

L, M, H, W = 4, 6, 12, 9
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(280, 10, (L, H, W)).astype(np.float32)
FORECAST = (TRUTH[:, None] + RNG.normal(1, 3, (L, M, H, W))).astype(np.float32)
MASK = torch.from_numpy(RNG.random((L, H, W)) < 0.9)
ROWS = torch.ones(H)
REAL_TRUTH = xr.DataArray(np.where(MASK, TRUTH, np.nan).astype(np.float64), dims=("lead", "y", "x"))
REAL_FORECAST = xr.DataArray(FORECAST.astype(np.float64), dims=("lead", "member", "y", "x"))


def value(metric: RMSE | MAE | Bias | CRPS | SpreadSkillRatio, forecast: np.ndarray = FORECAST) -> np.ndarray:
    return metric.value(metric.statistics(torch.from_numpy(forecast), torch.from_numpy(TRUTH), MASK, ROWS)).numpy()


@pytest.mark.parametrize(
    ("metric", "reference"),
    [(RMSE(), scores.continuous.rmse), (MAE(), scores.continuous.mae), (Bias(), scores.continuous.additive_bias)],
)
def test_of_the_ensemble_mean_as_in_scores(metric: RMSE | MAE | Bias, reference: object) -> None:
    expected = reference(REAL_FORECAST.mean("member"), REAL_TRUTH, preserve_dims="lead")  # type: ignore[operator]
    np.testing.assert_allclose(value(metric), expected, rtol=1e-6)


@pytest.mark.parametrize("members", [2, 3, M])
def test_fair_crps_as_in_scores(members: int) -> None:
    ensemble = REAL_FORECAST.isel(member=slice(members))
    expected = scores.probability.crps_for_ensemble(ensemble, REAL_TRUTH, "member", method="fair", preserve_dims="lead")
    np.testing.assert_allclose(value(CRPS(), FORECAST[:, :members]), expected, rtol=1e-6)


@pytest.mark.parametrize("members", [2, 3, 10, 16, 50])
def test_fair_crps_is_its_definition_at_each_point(members: int) -> None:
    """All pairs, one by one; more points than are sorted at once."""
    x = torch.from_numpy(RNG.normal(280, 10, (1, members, 150, 120)).round(1))  # with ties
    truth = torch.from_numpy(RNG.normal(280, 10, (1, 150, 120)))
    pairs = sum((x[:, i] - x[:, j]).abs() for i in range(members) for j in range(i))
    expected = (x - truth.unsqueeze(1)).abs().mean(1) - pairs / (members * (members - 1))
    torch.testing.assert_close(fair_crps(x, truth), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", range(2, 21))
def test_a_network_sorts_every_order_of_noughts_and_ones(size: int) -> None:
    """Which proves that it sorts all numbers (the 0-1 principle); all of them up to 12, some above."""
    orders = np.arange(2**size) if size <= 12 else RNG.integers(0, 2**size, 4096)
    rows = np.stack([(orders >> bit & 1).astype(np.float32) for bit in range(size)])
    np.testing.assert_array_equal(np.stack(sort_rows(list(rows.copy()))), np.sort(rows, axis=0))


def test_crps_of_one_member_is_its_mae() -> None:
    np.testing.assert_allclose(value(CRPS(), FORECAST[:, :1]), value(MAE(), FORECAST[:, :1]), rtol=1e-12)


def test_golden_numbers() -> None:
    truth = torch.zeros(1, 1, 2)
    forecast = torch.tensor([[[[1.0, 3.0]], [[3.0, 3.0]]]])  # (L=1, M=2, H=1, W=2)
    mask, rows = torch.ones(1, 1, 2, dtype=torch.bool), torch.ones(1)

    def score(metric: RMSE | MAE | Bias | CRPS | SpreadSkillRatio) -> float:
        return float(metric.value(metric.statistics(forecast, truth, mask, rows)))

    assert score(RMSE()) == pytest.approx(math.sqrt((2**2 + 3**2) / 2))  # means 2 and 3
    assert score(Bias()) == 2.5  # (2 + 3) / 2
    assert score(CRPS()) == 2.0  # left (1 + 3)/2 - |1 - 3| / (2 * 1) = 1, right 3 - 0 = 3
    # variances 2 and 0: sqrt(3/2) * sqrt(1) / sqrt(6.5)
    assert score(SpreadSkillRatio()) == pytest.approx(math.sqrt(1.5 / 6.5))


def test_spread_skill_ratio_of_exchangeable_members_is_one() -> None:
    draws = torch.randn(1, 6, 400, 400, generator=torch.Generator().manual_seed(1))
    metric = SpreadSkillRatio()
    mask = torch.ones(1, 400, 400, dtype=torch.bool)
    ratio = metric.value(metric.statistics(draws[:, 1:], draws[:, 0], mask, torch.ones(400)))
    assert float(ratio) == pytest.approx(1.0, abs=0.01)  # 160,000 points: sampling error 0.002


def test_rows_weigh_by_area() -> None:
    values = torch.tensor([[[1.0, 1.0], [5.0, 5.0]]])
    total = area_sum(values, torch.ones(1, 2, 2, dtype=torch.bool), torch.tensor([1.5, 0.5]))
    assert total.tolist() == [8.0]  # 1.5 * (1 + 1) + 0.5 * (5 + 5)


def test_a_million_points_keep_their_digits() -> None:
    truth = torch.full((1, 1000, 1000), 300.0)
    forecast = truth.unsqueeze(1) + 0.0625
    metric = Bias()
    bias = metric.value(metric.statistics(forecast, truth, torch.ones_like(truth, dtype=torch.bool), torch.ones(1000)))
    assert float(bias) == pytest.approx(0.0625, rel=1e-12)
