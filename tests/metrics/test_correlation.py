"""Correlations: of anomalies, and of spread with error and with activity; against numpy and xskillscore."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
import xskillscore

from weatherml.metrics.anomaly_correlation import AnomalyCorrelation
from weatherml.metrics.spread_activity_correlation import SpreadActivityCorrelation
from weatherml.metrics.spread_error_correlation import SpreadErrorCorrelation
from weatherml.variables import TABLE

L, M, H, W = 2, 8, 12, 10
GENERATOR = torch.Generator().manual_seed(7)
WIDTH = 1 + 4 * torch.rand(L, H, W, generator=GENERATOR)
TRUTH = 280 + WIDTH * torch.randn(L, H, W, generator=GENERATOR)
FORECAST = 280 + WIDTH.unsqueeze(1) * torch.randn(L, M, H, W, generator=GENERATOR)
MASK = torch.rand(L, H, W, generator=GENERATOR) < 0.8
ROWS = torch.ones(H)


def test_over_points_and_cases_as_in_numpy() -> None:
    metric = SpreadErrorCorrelation()
    parts = [metric.statistics(FORECAST[[lead]], TRUTH[[lead]], MASK[[lead]], ROWS) for lead in range(L)]
    found = metric.value({name: parts[0][name] + parts[1][name] for name in parts[0]})
    spread = FORECAST.numpy().astype(float).std(1, ddof=1)
    error = np.abs(FORECAST.numpy().astype(float).mean(1) - TRUTH.numpy())
    expected = np.corrcoef(spread[MASK.numpy()], error[MASK.numpy()])[0, 1]
    assert expected > 0.2
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_activity_is_what_the_events_are_made_of() -> None:
    (refc,) = SpreadActivityCorrelation.score_card(TABLE["refc"], 3.0)
    (cin,) = SpreadActivityCorrelation.score_card(TABLE["cin"], 3.0)
    assert SpreadActivityCorrelation.score_card(TABLE["t2m"], 3.0) == []
    truth = 10 * WIDTH  # members spread where the truth is high
    found = refc.value(refc.statistics(FORECAST, truth, MASK, ROWS))
    assert (found > 0.8).all()
    torch.testing.assert_close(cin.value(cin.statistics(FORECAST, -truth, MASK, ROWS)), found)


def test_a_constant_spread_has_no_correlation() -> None:
    forecast = torch.stack([torch.full((1, H, W), 279.7), torch.full((1, H, W), 280.4)], dim=1)
    metric = SpreadErrorCorrelation()
    assert metric.value(metric.statistics(forecast, TRUTH[:1], MASK[:1], ROWS)).isnan().all()


def anomaly_correlation(forecast: torch.Tensor, truth: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    metric = AnomalyCorrelation()
    return metric.value(metric.statistics(forecast, truth, MASK, rows)).numpy()


def test_anomaly_correlation_is_uncentred_and_weighted_by_area() -> None:
    departures, truth, rows = FORECAST - 277, TRUTH - 277, torch.linspace(0.2, 1.8, H)
    f, o = departures.double().mean(1).numpy(), truth.double().numpy()
    weights = MASK.numpy() * rows.numpy()[:, None]
    expected = (weights * f * o).sum((1, 2)) / np.sqrt((weights * f**2).sum((1, 2)) * (weights * o**2).sum((1, 2)))
    found = anomaly_correlation(departures, truth, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (found > 0.5).all()  # of the common departure of 3 K, which a centred correlation would not see


def test_anomaly_correlation_as_in_xskillscore_where_means_are_zero() -> None:
    """xskillscore's Pearson correlation is about the weighted means; where those are 0 it is the same."""
    weights = torch.linspace(0.2, 1.8, H).unsqueeze(-1) * MASK

    def centred(field: torch.Tensor) -> torch.Tensor:
        mean = (weights * field).sum((-2, -1), keepdim=True) / weights.sum((-2, -1), keepdim=True)
        return field - mean

    forecast, truth = centred(FORECAST.double().mean(1)), centred(TRUTH.double())
    expected = [
        xskillscore.pearson_r(
            *(xr.DataArray(field[lead].numpy(), dims=("y", "x")) for field in (forecast, truth)),
            weights=xr.DataArray(weights[lead].numpy(), dims=("y", "x")),
        )
        for lead in range(L)
    ]
    found = anomaly_correlation(forecast.unsqueeze(1), truth, torch.linspace(0.2, 1.8, H))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_anomaly_correlation_pools_cases() -> None:
    metric, departures, truth = AnomalyCorrelation(), FORECAST - 280, TRUTH - 280
    sums = metric.statistics(departures, truth, MASK, ROWS)
    pooled = metric.value({name: each.sum(0, keepdim=True) for name, each in sums.items()})
    f, o = departures.double().mean(1)[MASK], truth.double()[MASK]
    assert float(pooled) == pytest.approx(float((f * o).sum() / (f.square().sum() * o.square().sum()).sqrt()), rel=1e-9)
