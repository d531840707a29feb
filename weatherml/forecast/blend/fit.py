"""A fitted blend of one target: calibrate each run, combine them, calibrate the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import SerializeAsAny, field_validator

from weatherml.config import Config, parse_member
from weatherml.forecast.blend.calibration import Calibrate
from weatherml.forecast.blend.cases import Cases, cross_fitted
from weatherml.forecast.blend.combiners import Combiner
from weatherml.forecast.blend.rules import RULES, Rule

Array = npt.NDArray[Any]


class Blend(Config):
    """What makes one prediction of those of K runs.

    Attributes:
        before: calibrates each run; empty where nothing is calibrated.
        rule: combines them.
        after: calibrates the result.
    """

    before: tuple[SerializeAsAny[Rule], ...] = ()
    rule: SerializeAsAny[Rule]
    after: SerializeAsAny[Rule] | None = None

    @field_validator("before", mode="before")
    @classmethod
    def _before(cls, value: Any) -> Any:
        return tuple(parse_member(RULES, each, at="before") for each in value)

    @field_validator("rule", "after", mode="before")
    @classmethod
    def _rule(cls, value: Any) -> Any:
        return None if value is None else parse_member(RULES, value, at="rule")

    def __call__(self, predictions: Array) -> Array:
        """(K, ...) to (...)."""
        blended = self.rule(self.calibrated(predictions))
        return self.after(blended[None]) if self.after else blended

    def calibrated(self, predictions: Array) -> Array:
        """(K, ...) each run after its own calibration."""
        if not self.before:
            return predictions
        return np.stack([rule(each[None]) for rule, each in zip(self.before, predictions, strict=True)])

    def beside(self, predictions: Array) -> Array:
        """(K, ...) to (K + 1, ...): each calibrated run, and the blend last."""
        return np.concatenate([self.calibrated(predictions), self(predictions)[None]])


def fit_blend(cases: Cases, combiner: Combiner, calibrate: Calibrate | None) -> Blend:
    """Fit all parts; each sees only what the part before predicts of blocks of time that that one did not see."""
    if calibrate is None:
        return Blend(rule=combiner.fit(cases))
    runs = [cases.run(k) for k in range(len(cases.predictions))]
    honest = cases.predicted(np.stack([cross_fitted(run, calibrate) for run in runs]))
    blended = honest.predicted(cross_fitted(honest, combiner.fit)[None])
    return Blend(
        before=tuple(calibrate(run) for run in runs),
        rule=combiner.fit(honest),
        after=calibrate(blended),
    )
