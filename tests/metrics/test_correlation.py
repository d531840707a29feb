"""Correlations of spread with error and with activity: against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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
