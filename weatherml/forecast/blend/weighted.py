"""Weights from skill, never negative, with sum 1: those with which the mean has the least error in validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from weatherml.forecast.blend.cases import Cases, likelihood
from weatherml.forecast.blend.combiners import COMBINERS, Combiner
from weatherml.forecast.blend.rules import Linear

Array = npt.NDArray[Any]
MOST_STEPS = 500
SETTLED = 1e-7
JITTER = 1e-9


@COMBINERS.register("weighted")
class Weighted(Combiner):
    """Convex weights: least squares for fields (Bates and Granger 1969), the best log score for probabilities."""

    def fit(self, cases: Cases) -> Linear:
        """The weights of least error."""
        weights = log_score_weights(cases) if cases.binary else least_squares_weights(cases)
        return Linear(weights=tuple(weights.tolist()))


def least_squares_weights(cases: Cases) -> Array:
    """(K,) that minimise w' A w with w >= 0 and sum 1, A the errors' second moments (doi:10.1057/jors.1969.103).

    v >= 0 that minimises v' A v / 2 - 1' v is a multiple of it, and a non-negative least squares problem by A = L L'.
    """
    errors = cases.predictions - cases.truth
    moments = (errors * cases.weights) @ errors.T / cases.weights.sum()
    scale = np.trace(moments) / len(moments) or 1.0
    lower = cholesky(moments / scale + JITTER * np.eye(len(moments)), lower=True)
    found, _ = nnls(lower.T, solve_triangular(lower, np.ones(len(moments)), lower=True))
    return np.asarray(found / found.sum())


def log_score_weights(cases: Cases) -> Array:
    """(K,) of the mixture of probabilities that the cases make likeliest, by expectation maximisation.

    As Bayesian model averaging finds its weights (Raftery et al. 2005, doi:10.1175/MWR2906.1).
    """
    p, share = likelihood(cases), cases.weights / cases.weights.sum()
    weights = np.full(len(p), 1 / len(p))
    for _ in range(MOST_STEPS):
        after = (weights[:, None] * p / (weights @ p)) @ share
        settled = np.abs(after - weights).max() < SETTLED
        weights = after
        if settled:
            break
    return np.asarray(weights / weights.sum())
