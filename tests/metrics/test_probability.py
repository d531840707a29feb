"""Brier score and its parts, reliability and ROC: against arithmetic and the `scores` package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scores
import torch
import xarray as xr

from weatherml.metrics.brier import Brier, decomposition
from weatherml.metrics.brier_skill import BrierSkill
from weatherml.metrics.crps import CRPS
from weatherml.metrics.fair_brier import FairBrier
from weatherml.metrics.probability import ProbabilityMetric
from weatherml.metrics.roc_auc import ROCAUC

EVENT: dict[str, Any] = {"threshold": 30.0, "units_of_threshold": "dBZ"}
L, M, H, W = 3, 7, 15, 12
RNG = np.random.default_rng(5)
SIGNAL = RNG.normal(28, 6, (L, 1, H, W))
TRUTH = (SIGNAL[:, 0] + RNG.normal(0, 4, (L, H, W))).astype(np.float32)
FORECAST = (SIGNAL + RNG.normal(1, 3, (L, M, H, W))).astype(np.float32)
MASK = torch.from_numpy(RNG.random((L, H, W)) < 0.9)
WEIGHTS = torch.linspace(0.5, 1.5, H)
XR_TRUTH = xr.DataArray(np.where(MASK, TRUTH, np.nan), dims=("lead", "y", "x"))
XR_FORECAST = xr.DataArray(FORECAST, dims=("lead", "member", "y", "x"))
XR_WEIGHTS = xr.DataArray(WEIGHTS.numpy(), dims="y")

# ten cells, four members: members with the event at each cell, and whether it came
COUNTS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 4, 4])
CAME = torch.tensor([0, 0, 0, 0, 1, 1, 0, 1, 1, 1])
# bins p = 0, 1/4, 1/2, 3/4, 1: forecasts 3, 2, 2, 1, 2; events 0, 1, 1, 1, 2


def sums(metric: ProbabilityMetric) -> dict[str, torch.Tensor]:
    return metric.statistics(torch.from_numpy(FORECAST), torch.from_numpy(TRUTH), MASK, WEIGHTS)


def golden(metric: ProbabilityMetric) -> dict[str, torch.Tensor]:
    members = torch.where(torch.arange(4).unsqueeze(1) < COUNTS, 40.0, 0.0).view(1, 4, 1, 10)
    truth = (40.0 * CAME).view(1, 1, 10)
    return metric.statistics(members, truth, torch.ones(1, 1, 10, dtype=torch.bool), torch.ones(1))


@pytest.mark.parametrize(("metric", "fair"), [(Brier(**EVENT), False), (FairBrier(**EVENT), True)])
def test_brier_as_in_scores(metric: ProbabilityMetric, fair: bool) -> None:
    expected = scores.probability.brier_score_for_ensemble(
        XR_FORECAST, XR_TRUTH, "member", 30.0, fair_correction=fair, preserve_dims="lead", weights=XR_WEIGHTS
    )
    np.testing.assert_allclose(metric.value(sums(metric)), expected.squeeze("threshold"), rtol=1e-6)


def test_roc_as_in_scores() -> None:
    metric = ROCAUC(**EVENT)
    probability = (XR_FORECAST >= 30).mean("member").where(np.isfinite(XR_TRUTH))
    came = (XR_TRUTH >= 30).where(np.isfinite(XR_TRUTH)).astype(float)
    levels = [*(np.arange(M + 1) / M - 1e-9).clip(0), 1.1]
    expected = scores.probability.roc_curve_data(
        probability, came, levels, preserve_dims=["lead"], weights=XR_WEIGHTS, check_args=False
    )
    np.testing.assert_allclose(metric.value(sums(metric)), expected["AUC"], rtol=1e-6)
    arrays = metric.diagram(sums(metric)).arrays
    np.testing.assert_allclose(
        arrays["hit_rate"], expected["POD"].transpose("lead", "threshold")[:, : M + 1], rtol=1e-6
    )
    np.testing.assert_allclose(
        arrays["false_alarm_rate"], expected["POFD"].transpose("lead", "threshold")[:, : M + 1], rtol=1e-6
    )


def test_golden_brier_and_its_parts() -> None:
    metric = Brier(**EVENT)
    table = golden(metric)
    assert table["forecasts"].tolist() == [[3, 2, 2, 1, 2]]
    assert table["events"].tolist() == [[0, 1, 1, 1, 2]]
    # p = 1/4: 1/16 + 9/16; p = 1/2: 1/4 + 1/4; p = 3/4: 1/16; else 0 -> 19/16
    assert float(metric.value(table)) == pytest.approx(19 / 160)
    reliability, resolution, uncertainty = (float(part) for part in decomposition(table))
    # frequencies 0, 1/2, 1/2, 1, 1; 2 (1/4)^2 + 1 (1/4)^2
    assert reliability == pytest.approx(3 / 160)
    # base rate 1/2: 3 (1/2)^2 + 0 + 0 + 1 (1/2)^2 + 2 (1/2)^2
    assert resolution == pytest.approx(1.5 / 10)
    assert uncertainty == 0.25
    assert float(BrierSkill(**EVENT).value(table)) == pytest.approx(1 - 4 * 19 / 160)
    # sampling: sum n p (1 - p) / 3 = (2 * 3/16 + 2 * 1/4 + 3/16) / 3 = 17/48
    assert float(FairBrier(**EVENT).value(table)) == pytest.approx(19 / 160 - 17 / 480)


def test_golden_reliability_diagram_and_roc() -> None:
    found = Brier(**EVENT).diagram(golden(Brier(**EVENT)))
    assert (found.dim, found.bins.tolist()) == ("probability", [0, 0.25, 0.5, 0.75, 1])
    assert found.arrays["observed_frequency"].tolist() == [[0, 0.5, 0.5, 1, 1]]
    assert found.arrays["share"].tolist() == [pytest.approx([0.3, 0.2, 0.2, 0.1, 0.2])]
    curve = ROCAUC(**EVENT).diagram(golden(ROCAUC(**EVENT)))
    # events from each p on: 5, 5, 4, 3, 2 of 5; others 5, 2, 1, 0, 0 of 5
    assert curve.arrays["hit_rate"].tolist() == [pytest.approx([1, 1, 0.8, 0.6, 0.4])]
    assert curve.arrays["false_alarm_rate"].tolist() == [pytest.approx([1, 0.4, 0.2, 0, 0])]
    # trapezoids: 0.2 (0.6 + 0.8) / 2 + 0.2 (0.8 + 1) / 2 + 0.6 * 1
    assert float(ROCAUC(**EVENT).value(golden(ROCAUC(**EVENT)))) == pytest.approx(0.14 + 0.18 + 0.6)


def test_parts_add_up_to_the_score() -> None:
    metric = Brier(**EVENT)
    reliability, resolution, uncertainty = decomposition(sums(metric))
    torch.testing.assert_close(reliability - resolution + uncertainty, metric.value(sums(metric)))


def test_fair_crps_is_the_integral_of_fair_brier() -> None:
    thresholds = np.arange(-10.0, 70.0, 0.25)
    metrics = [FairBrier(**{**EVENT, "threshold": threshold}) for threshold in thresholds]
    total = sum(metric.value(sums(metric)) for metric in metrics)
    assert isinstance(total, torch.Tensor)
    crps = CRPS()
    expected = crps.value(crps.statistics(torch.from_numpy(FORECAST), torch.from_numpy(TRUTH), MASK, WEIGHTS))
    torch.testing.assert_close(0.25 * total, expected, rtol=1e-2, atol=0)  # steps of 0.25


def test_an_event_that_never_comes_has_a_brier_score_alone() -> None:
    quiet = torch.zeros(1, 4, 5, 5)
    quiet[:, 0] = 40.0
    mask = torch.ones(1, 5, 5, dtype=torch.bool)
    table = Brier(**EVENT).statistics(quiet, torch.zeros(1, 5, 5), mask, torch.ones(5))
    assert float(Brier(**EVENT).value(table)) == 1 / 16
    assert BrierSkill(**EVENT).value(table).isnan().all()
    assert ROCAUC(**EVENT).value(table).isnan().all()
