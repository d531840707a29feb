"""Files of predictions against their dataset: scores, report, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.sequences.conftest import Predict
from weatherml.data.sequences.predictions import open_predictions
from weatherml.data.sequences.store import SequenceDataset
from weatherml.errors import BadDataError, OutputError
from weatherml.grid import Grid
from weatherml.verify.sequences.cases import Cases, aligned
from weatherml.verify.sequences.evaluation import evaluate_predictions
from weatherml.verify.sequences.results import climatebench, cse151b

Toys = dict[str, SequenceDataset]


def evaluated(paths: list[Path], dataset: SequenceDataset, output: Path) -> dict[str, Any]:
    found = evaluate_predictions(paths, dataset.path, output=output, resamples=20)
    page = found.report.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<section") >= 2
    scores: dict[str, Any] = json.loads(found.scores.read_text())
    return scores


def test_an_emulator_is_scored_beside_the_training_mean(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    scores = evaluated([predict(toys["emulate"], noise=0.5)], toys["emulate"], tmp_path / "out")
    rmse = scores["forecasts"]["ours"]["target"]["rmse"]
    assert rmse["value"] == pytest.approx(0.5, rel=0.05)  # the noise that was added
    assert rmse["low"] < rmse["value"] < rmse["high"]
    mean = scores["forecasts"]["training-mean"]["target"]["rmse"]["value"]
    assert mean == pytest.approx(5 / 2**0.5, rel=0.1)  # std of 5 (a + b) / 2 of independent a and b
    assert set(scores["by_series"]["ours"]["target"]) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_accuracy_stands_beside_precision_recall_and_base_rate(
    task: str, toys: Toys, predict: Predict, tmp_path: Path
) -> None:
    dataset = toys[task]
    scores = evaluated([predict(dataset, "ours"), predict(dataset, "worse", noise=4.0)], dataset, tmp_path / "out")
    ours, worse, base = (scores["forecasts"][name]["target"] for name in ("ours", "worse", "base-rate"))
    assert {"accuracy", "precision", "recall", "base_rate"} <= set(ours)
    assert ours["average_precision"]["value"] > worse["average_precision"]["value"] > ours["base_rate"]["value"]
    assert base["roc_auc"]["value"] == 0.5
    test = dataset.values["target"][tuple(dataset.samples("test").T)]
    assert ours["base_rate"]["value"] == pytest.approx(test.mean())
    assert "always to say no would be right" in (tmp_path / "out" / "report.html").read_text()


def test_forecasts_are_scored_on_what_all_of_them_know(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    dataset = toys["emulate"]
    some = dataset.values["target"].astype(np.float32).copy()
    some[0] = np.nan  # says nothing of the first series, nor of the others' first point
    some[:, :, 0, 0] = np.nan
    paths = [predict(dataset), predict(dataset, "some", values={"target": some})]
    scores = evaluated(paths, dataset, tmp_path / "out")
    assert set(scores["by_series"]["ours"]["target"]) == {"b", "c", "d"}
    assert scores["metadata"]["notes"] == ["12 test samples are not known, or not predicted by all; left out"]
    assert scores["forecasts"]["some"]["target"]["rmse"]["value"] == 0


def test_a_threshold_without_validation_is_one_half_and_said(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    dataset = toys["segment"]
    test_only = np.where((dataset.part == 2)[..., None, None], 0.7 * dataset.values["target"], np.nan)
    scores = evaluated([predict(dataset, values={"target": test_only})], dataset, tmp_path / "out")
    assert scores["forecasts"]["ours"]["target"]["threshold"]["value"] == 0.5
    assert "no positive of target in the validation part" in scores["metadata"]["notes"][0]


def test_attention_is_shown_where_the_model_has_it(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    weights = np.eye(3, dtype=np.float32)
    evaluated([predict(toys["classify"], attention=weights)], toys["classify"], tmp_path / "out")
    assert "Attention, mean over positives" in (tmp_path / "out" / "report.html").read_text()


OTHER_GRID = Grid(kind="index", y=np.arange(1.0, 7.0), x=np.arange(6.0))
MISMATCHES = {
    "series e is not in": {"series": ("a", "b", "c", "e")},
    "y begins at 1 instead of 0": {"grid": OTHER_GRID},
    "predictions to segment": {"task": "segment"},
}


@pytest.mark.parametrize("words", MISMATCHES)
def test_predictions_of_something_else_are_refused(words: str, toys: Toys, predict: Predict, tmp_path: Path) -> None:
    path = predict(toys["emulate"], **MISMATCHES[words])  # type: ignore[arg-type]
    with pytest.raises(BadDataError, match=words):
        evaluate_predictions([path], toys["emulate"].path, output=tmp_path / "out")


def test_other_times_are_refused(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    path = predict(toys["emulate"], times=toys["emulate"].times + np.timedelta64(1, "D"))
    with pytest.raises(BadDataError, match="series a has other times"):
        evaluate_predictions([path], toys["emulate"].path, output=tmp_path / "out")


def test_other_targets_are_refused(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    dataset = toys["emulate"]
    other = dataset.targets[0].model_copy(update={"name": "pr"})
    path = predict(dataset, targets=(other,), values={"pr": dataset.values["target"]})
    with pytest.raises(BadDataError, match="targets pr, the truth's are target"):
        evaluate_predictions([path], dataset.path, output=tmp_path / "out")


def test_two_files_of_one_name_and_a_second_evaluation_are_refused(
    toys: Toys, predict: Predict, tmp_path: Path
) -> None:
    dataset, path = toys["emulate"], predict(toys["emulate"])
    with pytest.raises(BadDataError, match="two forecasts or baselines are named ours"):
        evaluate_predictions([path, path], dataset.path, output=tmp_path / "out")
    evaluated([path], dataset, tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        evaluate_predictions([path], dataset.path, output=tmp_path / "out")


def test_nothing_predicted_of_the_test_part_is_refused(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    dataset = toys["emulate"]
    nothing = np.full_like(dataset.values["target"], np.nan)
    with pytest.raises(BadDataError, match="no test sample that all predictions hold"):
        evaluate_predictions([predict(dataset, values={"target": nothing})], dataset.path, output=tmp_path / "out")


def test_a_test_part_without_a_positive_is_refused(toys: Toys, predict: Predict, tmp_path: Path) -> None:
    dataset = toys["segment"]
    values = dataset.values["target"].copy()
    only = np.where(values > 0.5, np.nan, 0.1)  # predicted where nothing happened
    with pytest.raises(BadDataError, match=r"target: 0 of \d+ scored test values are positive"):
        evaluate_predictions([predict(dataset, values={"target": only})], dataset.path, output=tmp_path / "out")


def test_series_are_aligned_by_name(toys: Toys, predict: Predict) -> None:
    dataset = toys["emulate"]
    whole = open_predictions(predict(dataset))
    part = replace(
        whole,
        series=("c", "a"),
        times=whole.times[[2, 0]],
        values={"target": whole.values["target"][[2, 0]]},
    )
    found = aligned(part, dataset, Path("part.nc"))["target"]
    np.testing.assert_array_equal(found[0], whole.values["target"][0])
    np.testing.assert_array_equal(found[2], whole.values["target"][2])
    assert np.isnan(found[[1, 3]]).all()


def test_the_scores_of_climatebench_and_of_the_competition_stand_where_they_apply(toys: Toys) -> None:
    years = np.datetime64("2080-01-01", "s") + (np.arange(21) * 366).astype("timedelta64[D]")  # one in each year
    truth = {name: np.full((21, 2, 2), 4.0) for name in ("tas", "pr")}
    said = {name: values + 1 for name, values in truth.items()}
    samples = np.stack([np.zeros(21, int), np.arange(21)], axis=1)
    cases = Cases(samples=samples, times=years, truth=truth, forecasts={"ours": said})
    every = np.ones(21, bool)
    found = climatebench(cases, "ours", "tas", every, np.ones(2))
    assert found["nrmse_total"].value == pytest.approx(1.5)  # 1 / 4 + 5 x 1 / 4
    assert climatebench(cases, "ours", "tas", years < np.datetime64("2090-01-01"), np.ones(2)) == {}
    score = cse151b(cases, "ours", every, np.ones(2))["score"].value
    assert score == pytest.approx(1.1)  # 0.1 x 1 + 1 x 1 + 0 for either field
