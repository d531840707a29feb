"""Scores of probabilities of a rare event, of cases or of pixels, and the threshold that makes them a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from weatherml.data.sequences.store import SequenceDataset
from weatherml.errors import BadDataError
from weatherml.verify.sequences.bootstrap import Cells, Measures
from weatherml.verify.sequences.cases import Fields
from weatherml.verify.sequences.emulation import ratio

Array = npt.NDArray[Any]
BASELINE = "base-rate"
UNDECIDED = 0.5
BINS = 1000
GLOSSARY = {
    "average_precision": "Area under the precision-recall curve as scikit-learn sums it; by chance the base rate.",
    "precision": "Share of what was said to be positive that was.",
    "recall": "Share of the positives that were found.",
    "f1": "Harmonic mean of precision and recall.",
    "iou": "Intersection over union of the positives said and those that were.",
    "accuracy": "Share of right decisions; 1 - base rate needs no skill.",
    "base_rate": "Share of positives.",
    "roc_auc": "Chance that a positive is given more than a negative; 0.5 by chance.",
    "brier": "Mean squared error of the probability.",
    "threshold": "Probability from which on it is said to be positive: the best F1 of the validation part.",
}


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Probabilities and what came of them, with the cell of each; (m,) of cases or pixels that are known."""

    probability: Array
    event: Array
    cell: Array

    @property
    def base_rate(self) -> float:
        """The share of positives."""
        return float(self.event.mean())


def outcomes(forecast: Array, truth: Array, cell: Array) -> Outcomes:
    """The known points of (n, H, W) probabilities and 0/1 truths, whose samples are of (n,) cells."""
    known = np.isfinite(truth)
    where = np.broadcast_to(cell[:, None, None], truth.shape)[known]
    return Outcomes(probability=forecast[known].astype(np.float64), event=truth[known] > 0.5, cell=where)


def require_both(found: Outcomes, at: str) -> None:
    """Raise BadDataError where only positives, or none, are to be scored."""
    if not 0 < found.event.sum() < len(found.event):
        raise BadDataError(
            f"{at}: {int(found.event.sum())} of {len(found.event)} scored test values are positive; a score needs "
            "both, prepare a longer test part"
        )


def best_threshold(found: Outcomes) -> float | None:
    """The probability from which on a yes has the best F1; None where there is no positive to choose by."""
    if not found.event.any():
        return None
    precision, recall, thresholds = precision_recall_curve(found.event, found.probability)
    f1 = ratio(2 * precision * recall, precision + recall)[:-1]  # the last point is of no threshold
    return float(thresholds[np.nanargmax(f1)])


def measures(found: Outcomes, threshold: float, cells: Cells, weights: Array) -> Measures:
    """The metrics of `GLOSSARY` for each row of (R, cells) weights: exact where R is 1, else of `BINS` bins."""
    if len(weights) == 1:
        each = [metrics(found.event, found.probability, weights[0][found.cell], threshold)]
    else:
        probability, counts = binned(found, threshold, len(cells))
        event = np.repeat([False, True], len(probability))
        said = np.tile(probability, 2)
        each = [metrics(event, said, weight, threshold) for weight in np.tensordot(weights, counts, 1)]
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def binned(found: Outcomes, threshold: float, cells: int) -> tuple[Array, Array]:
    """Mean probability of each bin (bins,), and (cells, 2 * bins) counts of negatives, then positives.

    Bins hold about equally many, and none reaches over the threshold, so that decisions stay exact.
    """
    edges = np.unique([*np.quantile(found.probability, np.linspace(0, 1, BINS)), threshold])
    bins = np.searchsorted(edges, found.probability, side="right")
    size = len(edges) + 1
    mean = ratio(np.bincount(bins, found.probability, size), np.bincount(bins, minlength=size))
    place = found.cell * 2 * size + found.event * size + bins
    counts = np.bincount(place, minlength=cells * 2 * size).reshape(cells, 2 * size).astype(float)
    full = np.isfinite(mean)
    return mean[full], counts[:, np.tile(full, 2)]


def metrics(event: Array, probability: Array, weight: Array, threshold: float) -> dict[str, float]:
    """Each metric of weighted outcomes; NaN where it divides by nothing."""
    positive, total = float(weight[event].sum()), float(weight.sum())
    if not 0 < positive < total:
        return dict.fromkeys((name for name in GLOSSARY if name != "threshold"), np.nan)
    said = probability >= threshold
    hits, alarms, right = (float(weight[each].sum()) for each in (said & event, said, said == event))
    return {
        "average_precision": float(average_precision_score(event, probability, sample_weight=weight)),
        "precision": hits / alarms if alarms else np.nan,
        "recall": hits / positive,
        "f1": 2 * hits / (alarms + positive),
        "iou": hits / (alarms + positive - hits),
        "accuracy": right / total,
        "base_rate": positive / total,
        "roc_auc": float(roc_auc_score(event, probability, sample_weight=weight)),
        "brier": float((weight * (probability - event) ** 2).sum()) / total,
    }


def base_rates(truth: SequenceDataset) -> Fields:
    """Each target's share of positives in the training samples, (N, T, H, W)."""
    series, step = truth.samples("train").T
    shape = (*truth.times.shape, *truth.grid.shape)
    return {
        target.name: np.full(shape, np.nanmean(truth.values[target.name][series, step]), np.float32)
        for target in truth.targets
    }
