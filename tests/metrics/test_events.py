"""Event names, contingency scores and FSS: against arithmetic and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scores.categorical import BinaryContingencyManager
from scores.spatial import fss_2d_single_field

from weatherml.metrics.csi import CSI
from weatherml.metrics.ets import ETS
from weatherml.metrics.events import EventMetric, event_name
from weatherml.metrics.far import FAR
from weatherml.metrics.frequency_bias import FrequencyBias
from weatherml.metrics.fss import FSS
from weatherml.metrics.hss import HSS
from weatherml.metrics.neighbourhood import scale_name
from weatherml.metrics.pod import POD
from weatherml.variables import TABLE

EVENT: dict[str, Any] = {"threshold": 30.0, "units_of_threshold": "dBZ"}
RNG = np.random.default_rng(3)


def smooth(seed: int, *shape: int) -> torch.Tensor:
    noise = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return 20 + 60 * torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)


def value(metric: EventMetric, forecast: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    mask = torch.ones_like(truth, dtype=torch.bool)
    return metric.value(metric.statistics(forecast, truth, mask, torch.ones(truth.shape[-2])))


@pytest.mark.parametrize(
    ("threshold", "units", "side", "name"),
    [
        (30.0, "dBZ", "above", "30dbz"),
        (-25.0, "J kg-1", "below", "below_m25jkg1"),
        (1000.0, "J kg-1", "above", "1000jkg1"),
        (0.5, "mm h-1", "above", "0p5mmh1"),
        (80.0, "%", "above", "80percent"),
        (0.25, "1", "above", "0p25"),
    ],
)
def test_event_names(threshold: float, units: str, side: Any, name: str) -> None:
    assert event_name(threshold, units, side) == name


@pytest.mark.parametrize(
    ("width", "spacing", "name"), [(9, 3.0, "27km"), (1, 3.0, "3km"), (1, 0.86, "0p9km"), (3, None, "3cells")]
)
def test_scale_names(width: int, spacing: float | None, name: str) -> None:
    assert scale_name(width, spacing) == name


def test_contingency_golden_numbers() -> None:
    truth = torch.tensor([[[30.0, 40.0, 10.0, 10.0, 50.0, 10.0]]])
    forecast = torch.tensor([[[[35.0, 10.0, 30.0, 10.0, 30.0, 45.0]]]])
    # hits: points 0, 4; miss: 1; false alarms: 2, 5; the threshold itself is an event
    assert float(value(CSI(**EVENT), forecast, truth)) == pytest.approx(2 / 5)
    assert float(value(POD(**EVENT), forecast, truth)) == pytest.approx(2 / 3)
    assert float(value(FAR(**EVENT), forecast, truth)) == pytest.approx(2 / 4)
    assert float(value(FrequencyBias(**EVENT), forecast, truth)) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("metric", "method"),
    [
        (CSI, "critical_success_index"),
        (POD, "probability_of_detection"),
        (FAR, "false_alarm_ratio"),
        (FrequencyBias, "frequency_bias"),
        (ETS, "equitable_threat_score"),
        (HSS, "heidke_skill_score"),
    ],
)
def test_contingency_scores_as_in_scores(metric: type[EventMetric], method: str) -> None:
    truth, forecast = smooth(1, 1, 40, 33), smooth(2, 1, 40, 33)
    events = [xr.DataArray((field[0] >= 30).double().numpy(), dims=("y", "x")) for field in (forecast, truth)]
    expected = getattr(BinaryContingencyManager(*events).transform(), method)()
    np.testing.assert_allclose(value(metric(**EVENT), forecast.unsqueeze(1), truth).numpy(), [expected], rtol=1e-6)


def test_members_are_counted_one_by_one() -> None:
    truth = torch.tensor([[[30.0, 10.0]]])
    forecast = torch.tensor([[[[40.0, 10.0]], [[10.0, 40.0]]]])
    # member 1: one hit; member 2: one miss, one false alarm -> halves: 0.5 / (0.5 + 0.5 + 0.5)
    assert float(value(CSI(**EVENT), forecast, truth)) == pytest.approx(1 / 3)


def test_events_below() -> None:
    cin = TABLE["cin"].model_copy(update={"event": "below"})
    (_, weak) = POD.score_card(cin, 3.0)
    assert weak.name == "pod_below_m25jkg1"
    truth = torch.tensor([[[-30.0, -25.0, -10.0]]])
    forecast = torch.tensor([[[[-40.0, -1.0, -60.0]]]])
    assert isinstance(weak, POD)
    assert float(value(weak, forecast, truth)) == 0.5  # -30 is hit, -25 is missed


def test_fss_as_in_scores_on_inner_windows() -> None:
    """Zeros round both fields make the edge rules agree; no value is 30 exactly."""
    truth, forecast = smooth(1, 1, 40, 33), smooth(2, 1, 40, 33)
    wide = [np.pad(field[0].numpy(), 4) for field in (forecast, truth)]
    expected = fss_2d_single_field(*wide, event_threshold=30.0, window_size=(9, 9))
    found = value(FSS(**EVENT, width=9), forecast.unsqueeze(1), truth)
    np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-6)


def test_fss_pools_cases() -> None:
    truth, forecast = smooth(1, 5, 30, 30), smooth(2, 5, 30, 30)
    metric = FSS(**EVENT, width=3)
    mask = torch.ones_like(truth, dtype=torch.bool)
    sums = metric.statistics(forecast.unsqueeze(1), truth, mask, torch.ones(30))
    pooled = metric.value({name: item.sum(0, keepdim=True) for name, item in sums.items()})
    assert float(pooled) != pytest.approx(float(metric.value(sums).mean()), abs=1e-4)


def test_fss_of_an_ensemble_uses_the_mean_share() -> None:
    truth = torch.tensor([[[40.0]]])
    forecast = torch.tensor([[[[40.0]], [[0.0]]]])
    # P_f = 1/2, P_o = 1: 1 - (1/4) / (1/4 + 1) = 0.8
    assert float(value(FSS(**EVENT, width=1), forecast, truth)) == pytest.approx(0.8)


def test_no_event_anywhere_is_nan() -> None:
    quiet = torch.zeros(1, 5, 5)
    for metric in (*(kind(**EVENT) for kind in (CSI, POD, FAR, FrequencyBias, ETS, HSS)), FSS(**EVENT, width=3)):
        assert value(metric, quiet.unsqueeze(1), quiet).isnan().all()
