"""Scores of sequences against arithmetic by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from weatherml.verify.sequences import emulation, events
from weatherml.verify.sequences.bootstrap import Cells, cells_of, scored

DAY = np.timedelta64(1, "D")
ONE = Cells(of=np.zeros(2, int), stretch=np.zeros(1, int), series=np.zeros(1, int))


def test_errors_of_maps_and_of_global_means_by_hand() -> None:
    truth = np.zeros((2, 1, 2))
    forecast = np.array([[[1.0, 3.0]], [[-1.0, 1.0]]])
    sums = emulation.error_sums(forecast, truth, np.ones(1), ONE)
    found = emulation.measures(sums, np.ones(1), np.ones((1, 1)))
    assert found["rmse"][0] == pytest.approx(3**0.5)  # (1 + 9 + 1 + 1) / 4 = 3
    assert found["rmse_map"][0] == pytest.approx(2**0.5)  # mean map (0, 2): (0 + 4) / 2 = 2
    assert found["rmse_global"][0] == pytest.approx(2**0.5)  # global means 2 and 0: (4 + 0) / 2 = 2
    assert found["bias"][0] == pytest.approx(1.0)  # (1 + 3 - 1 + 1) / 4


def test_unknown_points_count_nothing() -> None:
    forecast, truth = np.array([[[1.0, 3.0]], [[1.0, 9.0]]]), np.array([[[0.0, np.nan]], [[0.0, np.nan]]])
    sums = emulation.error_sums(forecast, truth, np.ones(1), ONE)
    assert {name: float(each[0]) for name, each in emulation.measures(sums, np.ones(1), np.ones((1, 1))).items()} == {
        "rmse": 1.0, "rmse_map": 1.0, "rmse_global": 1.0, "bias": 1.0,
    }  # fmt: skip


def drawn(count: int = 4000) -> events.Outcomes:
    rng = np.random.default_rng(0)
    event = rng.random(count) < 0.1
    return events.Outcomes(
        probability=1 / (1 + np.exp(-(3 * event - 2 + rng.standard_normal(count)))),
        event=event,
        cell=np.arange(count) % 8,
    )


def cells(count: int = 8) -> Cells:
    return Cells(of=np.arange(count), stretch=np.arange(count), series=np.zeros(count, int))


def test_events_are_scored_as_scikit_learn_does() -> None:
    found, threshold = drawn(), 0.6
    scores = {name: each[0] for name, each in events.measures(found, threshold, cells(), np.ones((1, 8))).items()}
    said = found.probability >= threshold
    assert scores["average_precision"] == average_precision_score(found.event, found.probability)
    assert scores["roc_auc"] == roc_auc_score(found.event, found.probability)
    assert scores["f1"] == pytest.approx(f1_score(found.event, said))
    assert scores["iou"] == pytest.approx(jaccard_score(found.event, said))
    assert scores["accuracy"] == pytest.approx((said == found.event).mean())
    assert scores["base_rate"] == found.event.mean()


def test_bins_of_the_resamples_give_nearly_the_exact_scores() -> None:
    found = drawn()
    exact = events.measures(found, 0.6, cells(), np.ones((1, 8)))
    twice = events.measures(found, 0.6, cells(), np.ones((2, 8)))
    for name, value in exact.items():
        decided = name in ("precision", "recall", "f1", "iou", "accuracy", "base_rate")
        assert twice[name][1] == pytest.approx(value[0], rel=1e-12 if decided else 2e-3), name


def test_the_threshold_has_the_best_f1() -> None:
    found = drawn()
    threshold = events.best_threshold(found)
    assert threshold is not None
    best = f1_score(found.event, found.probability >= threshold)
    assert best >= max(f1_score(found.event, found.probability >= t) for t in np.linspace(0.05, 0.95, 50))


def test_no_positive_chooses_no_threshold() -> None:
    none = events.Outcomes(probability=np.ones(3), event=np.zeros(3, bool), cell=np.zeros(3, int))
    assert events.best_threshold(none) is None


def test_blocks_are_stretches_of_time_of_each_series() -> None:
    times = np.datetime64("2020-01-01", "s") + np.array([0, 29, 30, 0]) * DAY
    found = cells_of(times, np.array([4, 4, 4, 9]), 30)
    assert found.of.tolist() == [0, 0, 2, 1]
    assert (found.stretch.tolist(), found.series.tolist()) == ([0, 0, 1], [0, 1, 0])
    draws = found.draws(500, seed=0)
    assert draws.mean(axis=0) == pytest.approx(np.ones(3), abs=0.2)  # each once in the mean


def test_intervals_hold_the_value_and_one_block_has_none() -> None:
    found = drawn()
    score = scored(lambda w: events.measures(found, 0.5, cells(), w), cells(), resamples=100, seed=0)["f1"]
    assert score.low < score.value < score.high
    single = events.Outcomes(probability=found.probability, event=found.event, cell=np.zeros(4000, int))
    alone = scored(lambda w: events.measures(single, 0.5, cells(1), w), cells(1), resamples=10, seed=0)["f1"]
    assert np.isnan(alone.low)
    assert np.isfinite(alone.value)
