"""Whether a blend is better than its runs: by cross-fits in the validation part, and on cases that no fit saw."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.forecast.blend.calibration import Calibrate
from weatherml.forecast.blend.cases import Cases, cross_fitted
from weatherml.forecast.blend.combiners import Combiner
from weatherml.forecast.blend.fit import Blend, fit_blend
from weatherml.forecast.blend.scores import Scores, scores

Array = npt.NDArray[Any]
Rows = dict[str, Scores]
"""The scores of each run by its name, and of the blend."""
BLEND = "blend"
logger = logging.getLogger(__name__)


def validated(cases: Cases, runs: Sequence[str], combiner: Combiner, calibrate: Calibrate | None) -> dict[str, Rows]:
    """Scores before calibration (`raw`) and after it (`calibrated`): each block by what was fitted on the others."""
    stages = {"raw": None} | ({"calibrated": calibrate} if calibrate else {})
    return {stage: _cross_fitted_rows(cases, runs, combiner, method) for stage, method in stages.items()}


def _cross_fitted_rows(cases: Cases, runs: Sequence[str], combiner: Combiner, calibrate: Calibrate | None) -> Rows:
    predicted = cross_fitted(cases, lambda seen: fit_blend(seen, combiner, calibrate).beside)
    return rows(cases.predicted(predicted), runs)


def held_out(cases: Cases, runs: Sequence[str], blend: Blend, thresholds: dict[str, float | None]) -> Rows:
    """Scores of the runs as they are and of the blend, with thresholds from the validation part."""
    both = np.concatenate([cases.predictions, blend(cases.predictions)[None]])
    usual: dict[str, float | None] = dict.fromkeys((*runs, BLEND), 0.5)
    return rows(cases.predicted(both), runs, usual | thresholds)


def rows(cases: Cases, runs: Sequence[str], thresholds: dict[str, float | None] | None = None) -> Rows:
    """The scores of K runs and a blend, in this order."""
    names = [*runs, BLEND]
    return {name: scores(cases.run(k), (thresholds or {}).get(name)) for k, name in enumerate(names)}


def thresholds(stages: dict[str, Rows]) -> dict[str, float | None]:
    """By row, from which probability on a value is called positive: the runs' raw ones, the finished blend's."""
    last = list(stages.values())[-1]
    return {name: found.get("threshold") for name, found in (stages["raw"] | {BLEND: last[BLEND]}).items()}


def warn_of_loss(stages: dict[str, Rows], target: str) -> None:
    """Say where the blend is no better than its best run in validation."""
    last = list(stages.values())[-1]
    score = "log_loss" if "log_loss" in last[BLEND] else "rmse"
    best = min((name for name in last if name != BLEND), key=lambda name: last[name][score])
    if last[BLEND][score] > last[best][score]:
        logger.warning(
            "%s: %s of the blend is %.4g in validation, that of %s %.4g",
            target, score.replace("_", " "), last[BLEND][score], best, last[best][score],
        )  # fmt: skip
