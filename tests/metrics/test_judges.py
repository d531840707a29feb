"""Skewed fields with ties, unknown points and area weights score as in scikit-learn, xskillscore, pysteps and scipy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import sklearn.metrics
import torch
import xarray as xr
import xskillscore

from weatherml.metrics.base import Metric
from weatherml.metrics.bias import Bias
from weatherml.metrics.brier import Brier
from weatherml.metrics.csi import CSI
from weatherml.metrics.far import FAR
from weatherml.metrics.fss import FSS
from weatherml.metrics.log_spectral_distance import LogSpectralDistance, detrend
from weatherml.metrics.mae import MAE
from weatherml.metrics.nep_brier import NEPBrier
from weatherml.metrics.nmep_brier import NMEPBrier
from weatherml.metrics.pod import POD
from weatherml.metrics.rank_histogram import RankHistogram
from weatherml.metrics.rmse import RMSE
from weatherml.metrics.roc_auc import ROCAUC
from weatherml.metrics.spread_skill_ratio import SpreadSkillRatio

EVENT: dict[str, Any] = {"threshold": 2.0, "units_of_threshold": "1"}
M, H, W = 9, 60, 47
RNG = np.random.default_rng(8)
DIMS = ("y", "x")


def rain(*shape: int) -> np.ndarray:
    """Skewed, part of it 0, in steps of a quarter, so that many values tie and many reach 2 exactly."""
    drawn = scipy.ndimage.gaussian_filter(RNG.gamma(0.4, 8.0, shape), (*(0,) * (len(shape) - 2), 1.0, 1.0))
    return (np.where(drawn < 2, 0, drawn) * 4).round().astype(np.float32) / 4


COMMON = rain(H, W)
TRUTH = np.maximum(COMMON, rain(H, W))
FORECAST = np.maximum(COMMON, rain(M, H, W))
KNOWN = RNG.random((H, W)) < 0.85
ROWS = np.linspace(0.3, 1.7, H)
WEIGHTS = np.broadcast_to(ROWS[:, None], (H, W))
CAME, SHARE = TRUTH >= 2, (FORECAST >= 2).mean(0)
XR_WEIGHTS = xr.DataArray(np.where(KNOWN, WEIGHTS, 0), dims=DIMS)


def sums(metric: Metric, forecast: np.ndarray = FORECAST, known: np.ndarray = KNOWN) -> dict[str, torch.Tensor]:
    arrays = (np.where(known, forecast, np.nan)[None], TRUTH[None], known[None])
    return metric.statistics(*map(torch.from_numpy, arrays), torch.from_numpy(ROWS))


def value(metric: Metric, forecast: np.ndarray = FORECAST, known: np.ndarray = KNOWN) -> float:
    return float(metric.value(sums(metric, forecast, known)))


def test_the_fields_are_hard() -> None:
    assert (TRUTH == FORECAST).any(0).mean() > 0.3  # ties of truth and member
    assert (TRUTH == 2).any()
    assert scipy.stats.skew(TRUTH, axis=None) > 0.5


def test_roc_and_brier_as_in_scikit_learn() -> None:
    points = {"sample_weight": WEIGHTS[KNOWN]}
    assert value(ROCAUC(**EVENT)) == pytest.approx(
        sklearn.metrics.roc_auc_score(CAME[KNOWN], SHARE[KNOWN], **points), rel=1e-6
    )
    assert value(Brier(**EVENT)) == pytest.approx(
        sklearn.metrics.brier_score_loss(CAME[KNOWN], SHARE[KNOWN], **points), rel=1e-6
    )


def test_the_contingency_table_as_in_scikit_learn() -> None:
    """Members one by one: each is one more forecast of the same truth."""
    came = np.broadcast_to(CAME, FORECAST.shape)[:, KNOWN].ravel()
    seen = (FORECAST >= 2)[:, KNOWN].ravel()
    points = {"sample_weight": np.broadcast_to(WEIGHTS, FORECAST.shape)[:, KNOWN].ravel()}
    assert value(CSI(**EVENT)) == pytest.approx(sklearn.metrics.jaccard_score(came, seen, **points), rel=1e-6)
    assert value(POD(**EVENT)) == pytest.approx(sklearn.metrics.recall_score(came, seen, **points), rel=1e-6)
    assert value(FAR(**EVENT)) == pytest.approx(1 - sklearn.metrics.precision_score(came, seen, **points), rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "judge"), [(RMSE(), xskillscore.rmse), (MAE(), xskillscore.mae), (Bias(), xskillscore.me)]
)
def test_errors_of_the_mean_as_in_xskillscore(metric: Metric, judge: Any) -> None:
    fields = (xr.DataArray(field, dims=DIMS) for field in (FORECAST.mean(0, dtype=float), TRUTH.astype(float)))
    expected = judge(*fields, weights=XR_WEIGHTS)
    assert value(metric) == pytest.approx(float(expected), rel=1e-6)


def test_spread_skill_as_in_xskillscore() -> None:
    """Its own ratio takes a mean of standard deviations; the parts are the same: variances here and its mse."""
    mean, truth = FORECAST.mean(0, dtype=float), TRUTH.astype(float)
    mse = xskillscore.mse(xr.DataArray(mean, dims=DIMS), xr.DataArray(truth, dims=DIMS), weights=XR_WEIGHTS)
    variance = np.average(FORECAST.var(0, ddof=1, dtype=float), weights=XR_WEIGHTS)
    expected = np.sqrt((M + 1) / M * variance / float(mse))
    assert value(SpreadSkillRatio()) == pytest.approx(expected, rel=1e-6)


def test_reliability_as_in_xskillscore() -> None:
    """Its bins are edges; here each of the M + 1 probabilities has its own. Without area weights, which it lacks."""
    fields = xr.DataArray(CAME[KNOWN], dims="point"), xr.DataArray(SHARE[KNOWN], dims="point")
    edges = (np.arange(M + 2) - 0.5) / M
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bins that no probability falls into
        expected = xskillscore.reliability(*fields, dim="point", probability_bin_edges=edges)
    arrays = map(torch.from_numpy, (FORECAST[None], TRUTH[None], KNOWN[None], np.ones(H)))
    found = Brier(**EVENT).diagram(Brier(**EVENT).statistics(*arrays)).arrays
    np.testing.assert_allclose(found["observed_frequency"][0], expected, rtol=1e-6)
    np.testing.assert_allclose(found["share"][0], expected["samples"] / KNOWN.sum(), rtol=1e-6)


def test_ranks_as_in_xskillscore_where_nothing_ties() -> None:
    """Of ties xskillscore takes the middle rank, where they have a random place here (Hamill 2001)."""
    noise = 0.01 * RNG.random(FORECAST.shape).astype(np.float32)
    forecast = FORECAST + noise
    expected = xskillscore.rank_histogram(
        xr.DataArray(TRUTH[KNOWN], dims="point"), xr.DataArray(forecast[:, KNOWN], dims=("member", "point"))
    )
    arrays = map(torch.from_numpy, (forecast[None], TRUTH[None], KNOWN[None], np.ones(H)))
    found = RankHistogram().statistics(*arrays)["ranks"]
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize("width", [3, 9, 27])
def test_neighbourhood_probabilities_as_filtered_by_scipy(width: int) -> None:
    events, came = ((field >= 2) & KNOWN for field in (FORECAST, TRUTH))

    def mean(field: np.ndarray) -> np.ndarray:
        return scipy.ndimage.uniform_filter(field.astype(float), width, mode="constant")

    def near(field: np.ndarray) -> np.ndarray:
        return scipy.ndimage.maximum_filter(field, width, mode="constant").astype(float)

    nep = np.mean([mean(event) for event in events], 0) / mean(KNOWN).clip(1e-9)
    nmep = np.mean([near(event) for event in events], 0)
    expected = np.average((nep - came) ** 2, weights=XR_WEIGHTS)
    assert value(NEPBrier(**EVENT, width=width)) == pytest.approx(expected, rel=1e-6)
    expected = np.average((nmep - near(came)) ** 2, weights=XR_WEIGHTS)
    assert value(NMEPBrier(**EVENT, width=width)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("width", [1, 3, 9, 27, 79, 121])  # the widest reach over both ends of the grid
def test_fss_of_ties_as_in_pysteps(width: int) -> None:
    """Reaching the threshold is the event in both; pysteps has no masks, no members and no weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pysteps warns of its optional parts when imported
        spatialscores = pytest.importorskip("pysteps.verification.spatialscores")
    metric = FSS(**EVENT, width=width)
    arrays = map(torch.from_numpy, (FORECAST[None, :1], TRUTH[None], np.ones((1, H, W), dtype=bool), np.ones(H)))
    found = float(metric.value(metric.statistics(*arrays)))
    assert found == pytest.approx(spatialscores.fss(FORECAST[0], TRUTH, 2.0, width), rel=1e-6)


def test_fss_of_members_and_unknown_points_as_filtered_by_scipy() -> None:
    def share(field: np.ndarray) -> np.ndarray:
        event = ((field >= 2) & KNOWN).astype(float)
        return scipy.ndimage.uniform_filter(event, 27, mode="constant")

    forecast, truth = np.mean([share(member) for member in FORECAST], 0), share(TRUTH)
    whole = np.average(forecast**2 + truth**2, weights=XR_WEIGHTS)
    expected = 1 - np.average((forecast - truth) ** 2, weights=XR_WEIGHTS) / whole
    assert value(FSS(**EVENT, width=27)) == pytest.approx(expected, rel=1e-6)


def test_spectra_as_in_pysteps() -> None:
    """Its radially averaged spectrum divides by the waves of a ring, which a ratio does not see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spectral = pytest.importorskip("pysteps.utils.spectral")
    size = 75  # odd: of an even size pysteps leaves the last ring out
    window = np.outer(*[np.hanning(size + 2)[1:-1]] * 2)
    truth, forecast = rain(size, size).astype(float), rain(size, size).astype(float)
    power = [spectral.rapsd(detrend(field) * window, fft_method=np.fft) for field in (forecast, truth)]
    expected = np.sqrt(np.mean((10 * np.log10(power[0] / power[1])[1:]) ** 2))
    arrays = map(torch.from_numpy, (forecast[None, None], truth[None], np.ones((1, size, size), dtype=bool)))
    found = LogSpectralDistance().value(LogSpectralDistance().statistics(*arrays, torch.ones(size)))
    assert float(found) == pytest.approx(expected, rel=1e-6)
