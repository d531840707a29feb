"""Scores of emulated fields: of their maps in the mean over time, and of their means over the globe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.sequences.store import SequenceDataset
from weatherml.verify.sequences.bootstrap import Cells, Measures
from weatherml.verify.sequences.cases import Fields

Array = npt.NDArray[Any]
BASELINE = "training-mean"
GLOSSARY = {
    "rmse": "Root mean square error of the fields, weighted by area.",
    "rmse_map": "The same of the maps in the mean over the scored time, mean over series.",
    "rmse_global": "The same of the global means at each time.",
    "bias": "Mean of prediction minus truth.",
    "nrmse_s, nrmse_g, nrmse_total": "ClimateBench, 2080 to 2100: RMSE of the mean map and of annual global means over "
    "the truth's absolute global mean, and the first plus five times the second; rmse_s and rmse_g before dividing.",
    "score": "CSE151B: half of temperature's and half of precipitation's weighted errors, less is better.",
}


@dataclass(frozen=True, kw_only=True)
class ErrorSums:
    """Sums over the samples of each cell.

    Attributes:
        error: (cells, H, W), of prediction minus truth.
        count: (cells, H, W), samples known there.
        squared: (cells,), of the area mean of the squared error.
        squared_global: (cells,), of the squared error of the area mean.
        samples: (cells,) their number.
        series: (cells,).
    """

    error: Array
    count: Array
    squared: Array
    squared_global: Array
    samples: Array
    series: Array


def error_sums(forecast: Array, truth: Array, rows: Array, cells: Cells) -> ErrorSums:
    """The sums of (n, H, W) predictions against the truth."""
    error = forecast.astype(np.float64) - truth  # float64: means of many small differences
    globally = area_mean(error, rows)
    known = np.isfinite(globally)

    def summed(values: Array) -> Array:
        total = np.zeros((len(cells), *values.shape[1:]))
        np.add.at(total, cells.of[known], values[known])
        return total

    return ErrorSums(
        error=summed(np.nan_to_num(error)),
        count=summed(np.isfinite(error).astype(float)),
        squared=summed(area_mean(error**2, rows)),
        squared_global=summed(globally**2),
        samples=summed(np.ones(len(error))),
        series=cells.series,
    )


def area_mean(values: Array, rows: Array) -> Array:
    """(..., H, W) to (...), weighted by the (H,) rows' areas, over the known points; NaN where there is none."""
    weight = np.isfinite(values) * rows[:, None]
    return ratio((np.nan_to_num(values) * weight).sum(axis=(-2, -1)), weight.sum(axis=(-2, -1)))


def ratio(above: Array, below: Array) -> Array:
    """Their quotient; NaN where there is nothing to divide by."""
    nothing = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    return np.asarray(np.divide(above, below, out=nothing, where=below > 0))


def measures(sums: ErrorSums, rows: Array, weights: Array) -> Measures:
    """The first four metrics of `GLOSSARY` for each row of (R, cells) weights."""
    samples = weights @ sums.samples
    maps = [area_mean(_map(sums, weights * (sums.series == one)) ** 2, rows) for one in np.unique(sums.series)]
    known = np.isfinite(maps)
    squared_map = ratio(np.where(known, maps, 0).sum(axis=0), known.sum(axis=0))
    return {
        "rmse": np.sqrt(ratio(weights @ sums.squared, samples)),
        "rmse_map": np.sqrt(squared_map),
        "rmse_global": np.sqrt(ratio(weights @ sums.squared_global, samples)),
        "bias": area_mean(_map(sums, weights), rows),
    }


def _map(sums: ErrorSums, weights: Array) -> Array:
    """(R, H, W), the mean error at each point."""
    return ratio(np.tensordot(weights, sums.error, 1), np.tensordot(weights, sums.count, 1))


def training_mean(truth: SequenceDataset) -> Fields:
    """Each target's mean over the training samples at its point, (N, T, H, W): of its month, or else of all."""
    series, step = truth.samples("train").T
    month = _month(truth.times)
    found: Fields = {}
    for target in truth.targets:
        values, at = truth.values[target.name][series, step], month[series, step]
        usual = _mean(values)
        by_month = np.stack([_mean(values[at == m]) if (at == m).any() else usual for m in range(12)])
        found[target.name] = by_month[month]
    return found


def _month(times: Array) -> Array:
    """0 to 11; NaT is in no month, and 0 does no harm where there is no sample."""
    return np.where(np.isnat(times), 0, times.astype("datetime64[M]").astype(np.int64) % 12)


def _mean(values: Array) -> Array:
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0).sum(axis=0, dtype=np.float64), known.sum(axis=0)).astype(np.float32)
