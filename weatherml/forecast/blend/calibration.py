"""Calibration of probabilities: from one run's to honest ones."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.isotonic import IsotonicRegression

from weatherml.forecast.blend.cases import Cases
from weatherml.forecast.blend.rules import Isotonic, Rule
from weatherml.forecast.blend.stacked import logistic

Calibrate = Callable[[Cases], Rule]
PLATT_PENALTY = 1e-6
"""Only so strong that classes which a run separates wholly leave the slope finite."""


def platt(cases: Cases) -> Rule:
    """A logistic curve of the logit (Platt 1999)."""
    return logistic(cases, PLATT_PENALTY)


def isotonic(cases: Cases) -> Rule:
    """The rising curve of least squares (Zadrozny and Elkan 2002)."""
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    curve.fit(cases.predictions[0], cases.truth, sample_weight=cases.weights)
    return Isotonic(x=tuple(curve.X_thresholds_.tolist()), y=tuple(curve.y_thresholds_.tolist()))


CALIBRATIONS: dict[str, Calibrate] = {"platt": platt, "isotonic": isotonic}
"""By the name that users write."""
