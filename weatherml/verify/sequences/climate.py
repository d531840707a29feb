"""Scores of climate emulators, as ClimateBench and the CSE151B competition define them; NumPy, area-weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError

Array = npt.NDArray[Any]

CLIMATEBENCH_YEARS = (2080, 2100)
GLOBAL_WEIGHT = 5
"""Of NRMSE_g in ClimateBench's total."""

CSE151B_WEIGHTS = {"tas": (0.1, 1.0, 1.0), "pr": (0.1, 1.0, 0.75)}
"""Of the monthly RMSE, the RMSE of the time mean and the MAE of the standard deviation in time."""


def climatebench_scores(
    prediction: Array, truth: Array, times: Array, *, rows: Array, years: tuple[int, int] = CLIMATEBENCH_YEARS
) -> dict[str, float]:
    """NRMSE_s, NRMSE_g and their total (Watson-Parris et al. 2022, doi:10.1029/2021MS002954, Eqs. 1 to 3).

    NRMSE_s is the RMSE of the maps' mean over time, NRMSE_g that of the annual global means, both over the
    absolute global mean of the truth; the total is NRMSE_s + 5 NRMSE_g. A field whose mean is near 0, or far from it
    by its units alone, is to be given as its change: ClimateBench's temperature is that since pre-industrial times.

    Args:
        prediction: (T, H, W); months of a year are averaged first.
        truth: (T, H, W), of several members their mean.
        times: (T,) datetime64 of both.
        rows: (H,) area weights, `Grid.row_weights`.
        years: first and last that count.

    Returns:
        `nrmse_s`, `nrmse_g` and `nrmse_total`; `rmse_s` and `rmse_g` before the division, in the field's units.

    Raises:
        BadDataError: no time within the years.
    """
    annual = [annual_means(values, times, years) for values in (prediction, truth)]
    maps, means = ([each.mean(0) for each in annual], [global_mean(each, rows) for each in annual])
    scale = abs(float(means[1].mean()))
    rmse_s = float(np.sqrt(global_mean((maps[0] - maps[1]) ** 2, rows)))
    rmse_g = float(np.sqrt(np.mean((means[0] - means[1]) ** 2)))
    nrmse_s, nrmse_g = (error / scale if scale else float("nan") for error in (rmse_s, rmse_g))
    return {
        "nrmse_s": nrmse_s,
        "nrmse_g": nrmse_g,
        "nrmse_total": nrmse_s + GLOBAL_WEIGHT * nrmse_g,
        "rmse_s": rmse_s,
        "rmse_g": rmse_g,
    }


def cse151b_errors(prediction: Array, truth: Array, *, rows: Array) -> tuple[float, float, float]:
    """The competition's three errors of one field over (T, H, W): monthly RMSE, time-mean RMSE, time-std MAE."""
    monthly = np.sqrt(global_mean((prediction - truth) ** 2, rows).mean())
    time_mean = np.sqrt(global_mean((prediction.mean(0) - truth.mean(0)) ** 2, rows))
    time_std = global_mean(np.abs(prediction.std(0) - truth.std(0)), rows)
    return float(monthly), float(time_mean), float(time_std)


def cse151b_scores(prediction: Mapping[str, Array], truth: Mapping[str, Array], *, rows: Array) -> dict[str, float]:
    """The score of the CSE151B competition, half of it tas (K), half pr (mm/day); less is better.

    Args:
        prediction: `tas` and `pr`, each (T, H, W), the months that are scored.
        truth: the same.
        rows: (H,) area weights, `Grid.row_weights`.

    Returns:
        `score`, and by field `..._rmse_month`, `..._rmse_time_mean` and `..._mae_time_std`.

    Raises:
        BadDataError: a field that is not there.
    """
    for name in CSE151B_WEIGHTS:
        if name not in prediction or name not in truth:
            raise BadDataError(f"{name}: not predicted; the competition scores {' and '.join(CSE151B_WEIGHTS)}")
    errors = {name: cse151b_errors(prediction[name], truth[name], rows=rows) for name in CSE151B_WEIGHTS}
    terms = ("rmse_month", "rmse_time_mean", "mae_time_std")
    scores = {f"{name}_{term}": error for name in errors for term, error in zip(terms, errors[name], strict=True)}
    weighted = [float(np.dot(CSE151B_WEIGHTS[name], errors[name])) for name in errors]
    return {**scores, "score": float(np.mean(weighted))}


def annual_means(values: Array, times: Array, years: tuple[int, int]) -> Array:
    """(Y, H, W) float64, the mean of each year that has a time within the years.

    Raises:
        BadDataError: none has.
    """
    year = times.astype("datetime64[Y]").astype(int) + 1970
    found = np.unique(year[(year >= years[0]) & (year <= years[1])])
    if not len(found):
        raise BadDataError(f"time: nothing from {years[0]} to {years[1]}; predict these years")
    return np.stack([values[year == each].mean(0, dtype=np.float64) for each in found])


def global_mean(values: Array, rows: Array) -> Array:
    """The area-weighted mean over the last two axes."""
    return np.asarray(np.average(values.mean(-1, dtype=np.float64), axis=-1, weights=rows))
