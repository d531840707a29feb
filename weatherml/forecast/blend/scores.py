"""How good predictions are, in the figures that `.blend.json` holds; by area where the grid has cells of many sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve

from weatherml.forecast.blend.cases import Cases, error

Array = npt.NDArray[Any]
Scores = dict[str, Any]
BINS = 10


def scores(cases: Cases, threshold: float | None = None) -> Scores:
    """Of one run's predictions.

    Args:
        cases: of one run.
        threshold: from which probability on a value is called positive; None takes the one of best F1 here.
    """
    return probability_scores(cases, threshold) if cases.binary else field_scores(cases)


def field_scores(cases: Cases) -> Scores:
    """RMSE and bias, in the target's units."""
    bias = np.average(cases.predictions[0] - cases.truth, weights=cases.weights)
    return {"rmse": float(np.sqrt(error(cases)[0])), "bias": float(bias)}


def probability_scores(cases: Cases, threshold: float | None = None) -> Scores:
    """Brier score, log loss, average precision, reliability; F1 and IoU from a threshold on, with the base rate."""
    p, truth, weights = cases.predictions[0], cases.truth > 0.5, cases.weights
    threshold = best_threshold(cases) if threshold is None else threshold
    said = p >= threshold
    hits, either, both = (float(weights[mask].sum()) for mask in (said & truth, said | truth, truth))
    return {
        "brier": float(np.average((p - truth) ** 2, weights=weights)),
        "log_loss": float(error(cases)[0]),
        "average_precision": float(average_precision_score(truth, p, sample_weight=weights)) if truth.any() else None,
        "base_rate": both / float(weights.sum()),
        "threshold": threshold,
        "f1": 2 * hits / (hits + either) if either else None,
        "iou": hits / either if either else None,
        **reliability(cases),
    }


def best_threshold(cases: Cases) -> float:
    """The probability from which on a value is called positive, so that F1 is highest; 0.5 where nothing is."""
    truth = cases.truth > 0.5
    if not truth.any():
        return 0.5
    precision, recall, levels = precision_recall_curve(truth, cases.predictions[0], sample_weight=cases.weights)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(levels[f1[:-1].argmax()])


def reliability(cases: Cases) -> Scores:
    """The reliability part of the Brier score (Murphy 1973) over ten bins, and the diagram's points."""
    p = cases.predictions[0]
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    weight, forecast, observed = (
        np.bincount(bins, cases.weights * values, minlength=BINS) for values in (np.ones_like(p), p, cases.truth)
    )
    filled = weight > 0
    share, mean, rate = (
        weight[filled] / weight.sum(),
        forecast[filled] / weight[filled],
        observed[filled] / weight[filled],
    )
    points = [[round(float(each), 6) for each in point] for point in zip(mean, rate, share, strict=True)]
    return {"reliability": float(share @ (mean - rate) ** 2), "diagram": points}
