from __future__ import annotations

import numpy as np
import pytest

from weatherml.errors import BadDataError
from weatherml.verify.sequences.climate import annual_means, climatebench_scores, cse151b_errors, cse151b_scores

TIMES = np.array(["2079-01", "2080-01", "2081-01"], "datetime64[M]").astype("datetime64[s]")
ROWS = np.array([0.5, 1.5])


def test_climatebench_by_hand() -> None:
    truth = np.zeros((3, 2, 1))
    truth[1:] = np.array([[[2.0], [4.0]], [[4.0], [4.0]]])
    prediction = truth + np.array([9.0, 1.0, -2.0])[:, None, None]  # 2079 does not count
    scores = climatebench_scores(prediction, truth, TIMES, rows=ROWS)
    # maps' mean error: (1 - 2) / 2 = -0.5 everywhere; global means: (0.5 * 2 + 1.5 * 4) / 2 = 3.5, and 4
    # scale: 3.75; errors of the global means 1 and -2: sqrt((1 + 4) / 2)
    assert scores["rmse_s"] == pytest.approx(0.5)
    assert scores["rmse_g"] == pytest.approx(np.sqrt(2.5))
    assert scores["nrmse_s"] == pytest.approx(0.5 / 3.75)
    assert scores["nrmse_g"] == pytest.approx(np.sqrt(2.5) / 3.75)
    assert scores["nrmse_total"] == pytest.approx((0.5 + 5 * np.sqrt(2.5)) / 3.75)


def test_rows_weigh_by_their_area() -> None:
    truth = np.ones((1, 2, 3))
    prediction = truth.copy()
    prediction[0, 1] += 2.0  # (0.5 * 0 + 1.5 * 4) / 2 = 3
    assert climatebench_scores(prediction, truth, TIMES[1:2], rows=ROWS)["rmse_s"] == pytest.approx(np.sqrt(3))


def test_months_are_averaged_to_years() -> None:
    times = np.arange("2080-01", "2082-01", dtype="datetime64[M]")
    values = np.repeat([[1.0], [3.0]], 12, axis=0)[..., None] + np.tile(np.arange(12), 2)[:, None, None]
    np.testing.assert_allclose(annual_means(values, times, (2080, 2100))[:, 0, 0], [6.5, 8.5])  # 1 and 3 + 66 / 12
    with pytest.raises(BadDataError, match="nothing from 1850 to 1860"):
        annual_means(values, times, (1850, 1860))


def test_cse151b_by_hand() -> None:
    truth = np.array([0.0, 2.0])[:, None, None] * np.ones((2, 2, 2))
    prediction = np.array([1.0, 5.0])[:, None, None] * np.ones((2, 2, 2))
    # monthly: sqrt((1 + 9) / 2); time means 3 and 1: 2; standard deviations 2 and 1: 1
    assert cse151b_errors(prediction, truth, rows=ROWS) == pytest.approx((np.sqrt(5), 2.0, 1.0))
    scores = cse151b_scores({"tas": prediction, "pr": prediction}, {"tas": truth, "pr": truth}, rows=ROWS)
    tas, pr = 0.1 * np.sqrt(5) + 2 + 1, 0.1 * np.sqrt(5) + 2 + 0.75
    assert scores["score"] == pytest.approx((tas + pr) / 2)
    assert scores["pr_mae_time_std"] == pytest.approx(1.0)


def test_a_perfect_emulator_scores_nothing() -> None:
    truth = np.random.default_rng(0).normal(280, 10, (3, 2, 4))
    assert climatebench_scores(truth, truth, TIMES, rows=ROWS)["nrmse_total"] == 0
    assert cse151b_scores({"tas": truth, "pr": truth}, {"tas": truth, "pr": truth}, rows=ROWS)["score"] == 0


def test_both_fields_are_needed() -> None:
    with pytest.raises(BadDataError, match="pr: not predicted"):
        cse151b_scores({"tas": np.zeros((1, 2, 2))}, {"tas": np.zeros((1, 2, 2))}, rows=ROWS)
