"""The ways to combine, on numbers whose best combination is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from weatherml.config import parse_member
from weatherml.errors import BadDataError, ConfigError
from weatherml.forecast.blend import COMBINERS
from weatherml.forecast.blend.calibration import CALIBRATIONS
from weatherml.forecast.blend.cases import Cases, cross_fitted, error, known_cases, require_blocks, time_blocks
from weatherml.forecast.blend.conditional import Conditional
from weatherml.forecast.blend.fit import Blend, fit_blend
from weatherml.forecast.blend.pool import Pool
from weatherml.forecast.blend.rules import RULES, Confidence, Isotonic, Linear, Rule, TieBreaker
from weatherml.forecast.blend.scores import best_threshold, scores
from weatherml.forecast.blend.stacked import Stacked
from weatherml.forecast.blend.weighted import Weighted, least_squares_weights, log_score_weights


def fields(n: int = 4000, errors: tuple[float, ...] = (1.0, 2.0), seed: int = 0) -> Cases:
    """Unbiased runs with independent errors of these standard deviations."""
    rng = np.random.default_rng(seed)
    truth = 10 * rng.standard_normal(n)
    runs = np.stack([truth + std * rng.standard_normal(n) for std in errors])
    return Cases(predictions=runs, truth=truth, weights=np.ones(n), blocks=np.arange(n) * 5 // n, binary=False)


def classes(n: int = 4000, noise: tuple[float, ...] = (0.5, 1.5), seed: int = 0) -> Cases:
    """Runs that see the log odds of an event with some error, and believe it."""
    rng = np.random.default_rng(seed)
    odds = 2 * rng.standard_normal(n) - 1
    truth = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    runs = np.stack([1 / (1 + np.exp(-odds - std * rng.standard_normal(n))) for std in noise])
    return Cases(predictions=runs, truth=truth, weights=np.ones(n), blocks=np.arange(n) * 5 // n, binary=True)


@pytest.mark.parametrize("name", list(COMBINERS))
@pytest.mark.parametrize("cases", [fields(), classes()], ids=["fields", "classes"])
def test_every_combiner(name: str, cases: Cases) -> None:
    combiner = COMBINERS[name]()
    rule = combiner.fit(cases)
    blended = rule(cases.predictions)
    low, high = cases.predictions.min(), cases.predictions.max()
    assert blended.shape == cases.truth.shape
    assert (blended >= min(low, low * 2)).all()
    assert (blended <= max(high, high * 2)).all()
    # the same numbers after writing and reading
    assert np.array_equal(parse_member(RULES, rule.settings(), at="rule")(cases.predictions), blended)
    # fields of any shape, and missing where a run is
    holed = cases.predictions.reshape(2, 40, 10, 10).copy()
    holed[1, 0, 0, 0] = np.nan
    apart = rule(holed)
    assert np.isnan(apart[0, 0, 0])
    np.testing.assert_allclose(apart.ravel()[1:], blended[1:])


@pytest.mark.parametrize("name", ["weighted", "stacked"])
@pytest.mark.parametrize("cases", [fields(), classes()], ids=["fields", "classes"])
def test_what_is_fitted_is_at_least_as_good_as_the_best_run_on_blocks_it_did_not_see(name: str, cases: Cases) -> None:
    honest = cases.predicted(cross_fitted(cases, COMBINERS[name]().fit)[None])
    assert error(honest)[0] < error(cases).min()


def test_weights_of_independent_errors_are_inverse_variances() -> None:
    # variances 1 and 4: weights 1 / (1 + 1/4) = 0.8 and 0.2
    assert Weighted().fit(fields(200_000)).weights == pytest.approx((0.8, 0.2), abs=0.01)


def test_weights_are_never_negative() -> None:
    cases = fields()
    # the second run repeats the first one's error, and more: the unconstrained weight would be below 0
    worse = cases.truth + 2 * (cases.predictions[0] - cases.truth)
    found = least_squares_weights(cases.predicted(np.stack([cases.predictions[0], worse])))
    assert found == pytest.approx([1, 0], abs=1e-6)


def test_least_squares_weights_are_those_of_a_general_solver() -> None:
    cases = fields(500, errors=(1.0, 1.5, 2.0, 6.0))
    cases = cases.predicted(cases.predictions + np.array([0, 0.5, -0.5, 0])[:, None])

    def loss(w: np.ndarray) -> float:
        return float(((w @ cases.predictions - cases.truth) ** 2).mean())

    sum_1 = {"type": "eq", "fun": lambda w: w.sum() - 1}
    wanted = minimize(loss, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=[sum_1], tol=1e-12)
    np.testing.assert_allclose(least_squares_weights(cases), wanted.x, atol=1e-4)


def test_log_score_weights_are_those_of_a_general_solver() -> None:
    cases = classes(1000, noise=(0.5, 1.0))

    def loss(w: float) -> float:
        p = np.array([w, 1 - w]) @ np.where(cases.truth > 0.5, cases.predictions, 1 - cases.predictions)
        return float(-np.log(p).mean())

    grid = np.linspace(0, 1, 1001)
    best = grid[np.argmin([loss(w) for w in grid])]
    assert log_score_weights(cases)[0] == pytest.approx(best, abs=2e-3)


def test_a_run_that_is_perfect_needs_no_other() -> None:
    cases = fields(errors=(0.0, 1.0))
    assert Weighted().fit(cases).weights == pytest.approx((1, 0), abs=1e-3)


def test_stacking_corrects_scale_and_offset() -> None:
    cases = fields(errors=(0.01, 5.0))
    bent = cases.predicted(np.stack([cases.predictions[0] / 2 + 3, cases.predictions[1]]))
    rule = Stacked(penalty=1e-9).fit(bent)
    assert rule.weights == pytest.approx((2, 0), abs=1e-2)  # truth = 2 (run - 3)
    assert rule.intercept == pytest.approx(-6, abs=1e-2)


def test_stacking_of_logits_finds_the_overconfidence() -> None:
    rng = np.random.default_rng(0)
    odds = rng.standard_normal(20_000)
    truth = (rng.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(float)
    said = 1 / (1 + np.exp(-3 * odds - 1))  # three times too sure, and too often
    blocks = np.arange(len(odds)) % 5
    cases = Cases(predictions=said[None], truth=truth, weights=np.ones_like(odds), blocks=blocks, binary=True)
    rule = CALIBRATIONS["platt"](cases)
    assert isinstance(rule, Linear)
    assert rule.weights[0] == pytest.approx(1 / 3, abs=0.02)
    assert rule.intercept == pytest.approx(-1 / 3, abs=0.04)
    for name in CALIBRATIONS:
        calibrated = cases.predicted(cross_fitted(cases, CALIBRATIONS[name])[None])
        before, after = scores(cases), scores(calibrated)
        assert after["brier"] < before["brier"]
        assert after["log_loss"] < before["log_loss"]
        assert after["reliability"] < before["reliability"] / 20


def test_the_tie_breaker_of_three_classifiers_is_the_majority() -> None:
    p = np.array([[0.9, 0.9, 0.2], [0.8, 0.3, 0.4], [0.1, 0.2, 0.9]])
    # agreed: (0.9 + 0.8) / 2; the best two disagree: the median of 0.9, 0.3, 0.2; agreed: (0.2 + 0.4) / 2
    np.testing.assert_allclose(TieBreaker(order=(0, 1, 2))(p), [0.85, 0.3, 0.3])


def test_the_tie_breaker_of_two_asks_the_second_where_they_differ() -> None:
    p = np.array([[1.0, 1.0], [1.5, 4.0]])
    np.testing.assert_allclose(TieBreaker(order=(0, 1), threshold=1.0)(p), [1.0, 2.5])  # (1 + 4) / 2


def test_the_threshold_is_a_quantile_of_the_differences_in_validation() -> None:
    cases = fields(errors=(1.0, 2.0, 3.0))
    rule = Conditional(quantile=0.5).fit(cases)
    assert isinstance(rule, TieBreaker)
    assert rule.order == (0, 1, 2)
    assert rule.threshold == pytest.approx(np.median(np.abs(cases.predictions[0] - cases.predictions[1])))
    disagreed = rule.disagree(cases.predictions)
    assert disagreed.mean() == pytest.approx(0.5, abs=1e-3)


def test_confidence_takes_the_surest() -> None:
    p = np.array([[0.6, 0.1, 0.5], [0.3, 0.7, 0.4]])
    np.testing.assert_allclose(Confidence()(p), [0.3, 0.1, 0.4])
    assert Conditional(rule="confidence").fit(classes()) == Confidence()
    with pytest.raises(ConfigError, match=r"combine.rule: confidence is of probabilities"):
        Conditional(rule="confidence").check(binary=False)


def test_isotonic_is_monotone_and_inside() -> None:
    rule = CALIBRATIONS["isotonic"](classes().run(1))
    assert isinstance(rule, Isotonic)
    curve = rule(np.linspace(0, 1, 101)[None])
    assert (np.diff(curve) >= 0).all()
    assert curve.min() >= 0
    assert curve.max() <= 1


def test_a_blend_is_the_same_after_writing_and_reading() -> None:
    cases = classes()
    blend = fit_blend(cases, Stacked(), CALIBRATIONS["isotonic"])
    again = Blend(**blend.settings())
    assert again == blend
    np.testing.assert_array_equal(again.beside(cases.predictions), blend.beside(cases.predictions))
    assert len(blend.before) == 2
    assert fit_blend(cases, Pool(), None) == Blend(rule=Linear(weights=(0.5, 0.5)))


def test_no_fit_sees_the_block_that_it_is_judged_by() -> None:
    cases, seen = fields(100), []

    def fit(part: Cases) -> Rule:
        seen.append(set(part.blocks.tolist()))
        return Linear(weights=(1.0, 0.0))

    np.testing.assert_array_equal(cross_fitted(cases, fit), cases.predictions[0])
    assert seen == [set(range(5)) - {block} for block in range(5)]


def test_blocks_are_spans_of_time() -> None:
    times = np.datetime64("2020-01-01", "s") + np.arange(10) * np.timedelta64(86400, "s")
    two = np.stack([times, times])
    two[1, 7:] = np.datetime64("NaT")
    blocks = time_blocks(two, 5)
    assert blocks[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert blocks[1].tolist() == [0, 0, 1, 1, 2, 2, 3, -1, -1, -1]
    assert time_blocks(times[:2], 5).tolist() == [0, 1]


def test_what_is_unknown_is_no_case() -> None:
    predictions = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    predictions[0, 0, 0] = np.nan
    truth = np.ones((2, 3), np.float32)
    truth[1, 2] = np.nan
    cases = known_cases(predictions, truth, np.ones(3), np.array([[0], [1]]), binary=False)
    assert cases.predictions.tolist() == [[1, 2, 3, 4], [7, 8, 9, 10]]
    assert cases.blocks.tolist() == [0, 0, 1, 1]
    with pytest.raises(BadDataError, match=r"values in 2 block\(s\) of time of the validation part, a fit needs 3"):
        require_blocks(cases, "data.zarr: tas")
    with pytest.raises(BadDataError, match="no validation sample"):
        require_blocks(cases.select(np.zeros(4, bool)), "data.zarr: tas")


def test_a_class_that_is_in_too_few_blocks_is_refused() -> None:
    cases = classes()
    early = cases.select((cases.truth < 0.5) | (cases.blocks < 2))
    with pytest.raises(BadDataError, match=r"positives in 2 block\(s\)"):
        require_blocks(early, "data.zarr: flood")


def test_scores_of_probabilities() -> None:
    p, truth = np.array([[0.9, 0.6, 0.4, 0.1]]), np.array([1.0, 0.0, 1.0, 0.0])
    cases = Cases(predictions=p, truth=truth, weights=np.ones(4), blocks=np.zeros(4, int), binary=True)
    found = scores(cases, 0.5)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert found["log_loss"] == pytest.approx(-(2 * np.log(0.9) + 2 * np.log(0.4)) / 4)
    assert found["average_precision"] == pytest.approx(
        (1 + 2 / 3) / 2
    )  # precision 1 at the first hit, 2/3 at the second
    assert (found["f1"], found["iou"], found["base_rate"]) == (pytest.approx(2 * 1 / 4), pytest.approx(1 / 3), 0.5)
    # from 0.4 on: two hits of three, F1 = 4/5
    assert best_threshold(cases) == 0.4
    # four bins, one case each: (0.9-1)^2, (0.6-0)^2, (0.4-1)^2, (0.1-0)^2
    assert found["reliability"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
