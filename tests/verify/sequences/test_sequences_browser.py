"""The report of sequences in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.report.browser import checked_rows, chromium
from tests.verify.sequences.conftest import Predict
from weatherml.data.sequences.store import SequenceDataset
from weatherml.verify.sequences.evaluation import evaluate_predictions

Toys = dict[str, SequenceDataset]
Rows = list[dict[str, str]]
browser = pytest.fixture(chromium, scope="module")


@pytest.fixture
def rows_of(browser: Any, toys: Toys, predict: Predict, tmp_path: Path) -> Any:
    """The numbers of a figure in the report of two predictions, the first with attention where it is given."""

    def rows(task: str, figure: str, **changes: Any) -> Rows:
        paths = [predict(toys[task], noise=0.5, **changes), predict(toys[task], "theirs")]
        report = evaluate_predictions(paths, toys[task].path, output=tmp_path / "out", resamples=5).report
        return checked_rows(browser, report, figure)

    return rows


def test_an_emulator_gives_its_means(rows_of: Any, toys: Toys) -> None:
    dataset = toys["emulate"]
    rows = rows_of("emulate", "#target figure[data-export=a]")
    truth = dataset.values["target"][0][dataset.part[0] == 2].mean((1, 2))  # of an index grid, all rows weigh alike
    drawn = [(float(row["days since 2020-02-18"]), float(row["target"])) for row in rows if row["series"] == "truth"]
    np.testing.assert_allclose(drawn, list(enumerate(truth)), rtol=1e-5)  # six figures are written
    assert {row["series"] for row in rows} == {"truth", "ours", "theirs", "training-mean"}


def test_masks_give_their_reliability(rows_of: Any) -> None:
    rows = rows_of("segment", "#target figure[data-export=reliability]")
    assert {row["series"] for row in rows} == {"ours", "theirs"}
    ours = [float(row["probability"]) for row in rows if row["series"] == "ours"]
    assert ours == sorted(ours)
    assert all(0 <= float(row["observed share"]) <= 1 for row in rows)


def test_a_classifier_gives_its_attention(rows_of: Any) -> None:
    weights = np.array([[1, 0, 0], [0.75, 0.25, 0], [0.5, 0.25, 0.25]], np.float32)
    rows = rows_of("classify", "#attention figure", attention=weights)
    told = [(row["series"], int(row["step that is read"]), float(row["weight"])) for row in rows]
    assert told == [(f"reading step {i}", j, weights[i, j]) for i in range(3) for j in range(3)]
