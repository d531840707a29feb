"""Every metric: perfect on the truth, NaN over nothing, and mergeable."""

from __future__ import annotations

import pytest
import torch

from weatherml.errors import ConfigError
from weatherml.metrics import METRICS
from weatherml.metrics.base import Metric, Statistics
from weatherml.variables import TABLE, Variable

L, M, H, W = 3, 4, 20, 17
ROWS = torch.ones(H)
REFC = TABLE["refc"].model_copy(update={"thresholds": (20.0,)})


def cards() -> list[Metric]:
    return [metric for kind in METRICS for metric in METRICS[kind].score_card(REFC, 3.0)]


def ids(metric: Metric) -> str:
    return metric.name


def fields(seed: int, *shape: int) -> torch.Tensor:
    return 15 + 15 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def add(a: Statistics, b: Statistics) -> Statistics:
    return {name: a[name] + b[name] for name in a}


# a perfect ensemble is a law and not a field: see test_continuous
@pytest.mark.parametrize("metric", [metric for metric in cards() if not metric.needs_members], ids=ids)
def test_perfect_forecast_has_the_perfect_value(metric: Metric) -> None:
    truth = fields(0, L, H, W)
    value = metric.value(metric.statistics(truth.unsqueeze(1), truth, torch.ones(L, H, W, dtype=torch.bool), ROWS))
    torch.testing.assert_close(value, torch.full((L,), metric.perfect, dtype=torch.float64))


@pytest.mark.parametrize("metric", cards(), ids=ids)
def test_nothing_known_gives_nan_at_that_lead_alone(metric: Metric) -> None:
    truth, forecast = fields(0, L, H, W), fields(1, L, M, H, W)
    mask = torch.ones(L, H, W, dtype=torch.bool)
    mask[1] = False
    forecast[1] = torch.nan
    value = metric.value(metric.statistics(forecast, truth, mask, ROWS))
    assert value.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("metric", cards(), ids=ids)
def test_unknown_points_do_not_matter(metric: Metric) -> None:
    truth, forecast = fields(0, L, H, W), fields(1, L, M, H, W)
    mask = torch.rand(L, H, W, generator=torch.Generator().manual_seed(2)) < 0.8
    clean = metric.statistics(forecast, truth, mask, ROWS)
    spoiled = metric.statistics(
        torch.where(mask.unsqueeze(1), forecast, torch.nan), torch.where(mask, truth, 99.0), mask, ROWS
    )
    for name in clean:
        torch.testing.assert_close(spoiled[name], clean[name])


@pytest.mark.parametrize("metric", cards(), ids=ids)
def test_leads_are_scored_independently_and_sums_carry_leading_dimensions(metric: Metric) -> None:
    truth, forecast = fields(0, L, H, W), fields(1, L, M, H, W)
    mask = torch.ones(L, H, W, dtype=torch.bool)
    whole = metric.statistics(forecast, truth, mask, ROWS)
    parts = [metric.statistics(forecast[i : i + 1], truth[i : i + 1], mask[i : i + 1], ROWS) for i in range(L)]
    for name in whole:
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), whole[name])
        assert whole[name].dtype == torch.float64
    resamples = {name: torch.stack([sums, 2 * sums]) for name, sums in whole.items()}
    torch.testing.assert_close(metric.value(resamples), metric.value(whole).expand(2, L))


@pytest.mark.parametrize("metric", cards(), ids=ids)
def test_two_equal_cases_score_as_one(metric: Metric) -> None:
    truth, forecast = fields(0, L, H, W), fields(1, L, M, H, W)
    one = metric.statistics(forecast, truth, torch.ones(L, H, W, dtype=torch.bool), ROWS)
    torch.testing.assert_close(metric.value(add(one, one)), metric.value(one))


@pytest.mark.parametrize("metric", cards(), ids=ids)
def test_diagrams_have_a_row_for_each_lead(metric: Metric) -> None:
    truth, forecast = fields(0, L, H, W), fields(1, L, M, H, W)
    mask = torch.ones(L, H, W, dtype=torch.bool)
    mask[1] = False
    found = metric.diagram(metric.statistics(forecast, truth, mask, ROWS))
    if found is None:
        return
    assert found.bins.diff().gt(0).all()
    for values in found.arrays.values():
        assert values.dtype == torch.float64
        assert values.shape in {(L,), (L, len(found.bins))}
        assert values[1].isnan().all()
        assert values[0].isfinite().any()


def test_names_of_the_score_card() -> None:
    names = {metric.name for metric in cards()}
    assert {"rmse", "mae", "bias", "crps", "spread_skill_ratio", "log_spectral_distance"} < names
    assert {"csi_20dbz", "pod_20dbz", "far_20dbz", "frequency_bias_20dbz"} < names
    assert {"fss_20dbz_3km", "fss_20dbz_9km", "fss_20dbz_27km", "fss_20dbz_81km"} < names
    assert {"brier_20dbz", "brier_skill_20dbz", "fair_brier_20dbz", "roc_auc_20dbz"} < names
    assert {"nep_brier_20dbz_9km", "nmep_brier_20dbz_81km", "rank_histogram"} < names
    assert {"spread_error_correlation", "spread_activity_correlation", "anomaly_correlation"} < names
    assert {"object_count_ratio_20dbz", "object_size_ratio_20dbz"} < names
    assert len(names) == len(cards())


def test_variables_without_thresholds_have_no_event_scores() -> None:
    plain = Variable(name="t", units="K")
    names = [metric.name for kind in METRICS for metric in METRICS[kind].score_card(plain, None)]
    assert sorted(names) == [
        "anomaly_correlation", "bias", "crps", "log_spectral_distance", "mae", "rank_histogram", "rmse",
        "spread_error_correlation", "spread_skill_ratio",
    ]  # fmt: skip


def test_what_a_metric_says_of_itself() -> None:
    whole = {metric.kind for metric in cards() if not metric.by_condition}
    assert whole == {
        "fss", "nep_brier", "nmep_brier", "object_count_ratio", "object_size_ratio", "log_spectral_distance",
        "rank_histogram",
    }  # fmt: skip
    assert {metric.kind for metric in cards() if metric.of_anomalies} == {"anomaly_correlation"}


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rmse'"):
        METRICS["rsme"]
