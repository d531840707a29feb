"""Stacking (Wolpert 1992, Breiman 1996): a linear model of scikit-learn on what the runs predict."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveFloat
from sklearn.linear_model import LogisticRegression, Ridge

from weatherml.forecast.blend.cases import Cases
from weatherml.forecast.blend.combiners import COMBINERS, Combiner
from weatherml.forecast.blend.rules import Linear, log_odds


@COMBINERS.register("stacked")
class Stacked(Combiner):
    """Logistic regression on the runs' logits; for fields, ridge regression without negative weights.

    Attributes:
        penalty: on the squared weights, as a share of the cases' weight.
    """

    penalty: PositiveFloat = 1e-3

    def fit(self, cases: Cases) -> Linear:
        """The meta-learner's coefficients."""
        return logistic(cases, self.penalty) if cases.binary else ridge(cases, self.penalty)


def logistic(cases: Cases, penalty: float) -> Linear:
    """Logistic regression on logits; of one run it is Platt's calibration."""
    strength = 1 / (penalty * cases.weights.sum())
    learner = LogisticRegression(C=strength, max_iter=1000)
    learner.fit(log_odds(cases.predictions).T, cases.truth > 0.5, sample_weight=cases.weights)
    return Linear(weights=tuple(learner.coef_[0].tolist()), intercept=float(learner.intercept_[0]), link="logit")


def ridge(cases: Cases, penalty: float) -> Linear:
    """Ridge regression with weights that are not negative, in units of the truth's standard deviation."""
    centre = np.average(cases.truth, weights=cases.weights)
    scale = np.sqrt(np.average((cases.truth - centre) ** 2, weights=cases.weights)) or 1.0
    learner = Ridge(alpha=penalty * cases.weights.sum(), positive=True, tol=1e-8)
    learner.fit((cases.predictions.T - centre) / scale, (cases.truth - centre) / scale, sample_weight=cases.weights)
    weights = learner.coef_
    intercept = centre * (1 - weights.sum()) + scale * learner.intercept_
    return Linear(weights=tuple(weights.tolist()), intercept=float(intercept))
