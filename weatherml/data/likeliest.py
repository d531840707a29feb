"""The transform of each skewed variable under which its next states are likeliest, after Box & Cox (1964, JRSS B 26).

A generative model errs least where noise is alike at all values. The logarithm of CAPE gives what lies below 30 J/kg
half of its scale, and its highest values to a small error; where noise grows with the root the root is right, where it
grows with the value the logarithm. Under each transform f a state is forecast by least squares from the points around
it a step before, and a point's log-likelihood is -log of the residual's standard deviation + log |f'|.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view

from weatherml.data.physical import successive
from weatherml.data.statistics import Moments, Statistics, VariableMoments
from weatherml.data.store import Dataset
from weatherml.data.transforms import ROUNDING, inverse, transform
from weatherml.variables import Transform, Variable

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
FAMILIES: tuple[tuple[Transform, ...], ...] = (("none", "sqrt", "log1p"), ("none", "signed_sqrt", "signed_log1p"))
MARGIN = 0.1
"""Nats a point by which another transform than the dataset's must be likelier."""
REACH = 2
"""Points to each side from which a state is forecast."""
POINTS = 4096
"""Of each pair of fields, evenly spread."""
FEWEST = 1000
"""Points in all, below which nothing is known."""


def likeliest(dataset: Dataset) -> Dataset:
    """The dataset with the transform of each skewed variable that is likeliest, and statistics under it.

    Points at 0 are left out, since no transform parts them. The mean and the deviations are those of the fields that
    the choice is made on; the extremes and the share of zeros are the dataset's.
    """
    for channel, variable in enumerate(dataset.variables):
        found = candidates(variable)
        scores = log_likelihoods(dataset, found) if len(found) > 1 else {}
        best = max(scores, key=scores.__getitem__, default=variable.transform)
        if scores and (gain := scores[best] - scores[variable.transform]) > MARGIN:
            logger.info(
                "%s: learnt as %s, not %s: likelier by %.2f a point", variable.name, best, variable.transform, gain
            )
            dataset = transformed(dataset, channel, found[best])
    return dataset


def candidates(variable: Variable) -> dict[Transform, Variable]:
    """The variable under each transform that it may have, none if not skewed; what is never negative stays so."""
    positive = variable.transform in ("log1p", "sqrt") or (variable.transform == "none" and variable.valid_min == 0)
    for family, belongs in zip(FAMILIES, (positive, variable.transform in FAMILIES[1][1:]), strict=True):
        if belongs:
            bound = {"valid_min": max(variable.valid_min or 0.0, 0.0)} if positive else {}
            return {name: variable.model_copy(update={"transform": name} | bound) for name in family}
    return {}


def log_likelihoods(dataset: Dataset, found: dict[Transform, Variable]) -> dict[Transform, float]:
    """The log-likelihood of a variable's next states a point under each transform, in nats; none of too few points."""
    variable = next(iter(found.values()))
    least = -np.inf if variable.valid_min is None else variable.valid_min
    pairs = [_points(*pair.clip(least)) for pair in successive(dataset, variable.name)]
    around, after = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if len(after) < FEWEST or after.std() == 0:
        return {}
    return {key: _log_likelihood(around, after, variable) for key, variable in found.items()}


def _points(before: Array, after: Array) -> tuple[Array, Array]:
    """(n, K) values around n points a step before, and (n,) those that came; all known, and not 0 at the point."""
    reach = min(REACH, (min(after.shape) - 1) // 2)
    around = sliding_window_view(before, (2 * reach + 1, 2 * reach + 1))
    came = after[reach : after.shape[0] - reach, reach : after.shape[1] - reach]
    known = np.isfinite(around).all(axis=(-2, -1)) & np.isfinite(came)
    rows, columns = np.nonzero(known & (around[..., reach, reach] != 0) & (came != 0))
    some = slice(None, None, -(-len(rows) // POINTS) or 1)
    there = (rows[some], columns[some])
    return around[there].reshape(-1, (2 * reach + 1) ** 2), came[there]


def _log_likelihood(around: Array, after: Array, variable: Variable) -> float:
    came = torch.from_numpy(after).requires_grad_()
    bent = transform(came, variable)
    (slope,) = torch.autograd.grad(bent.sum(), came)
    known = np.column_stack([transform(torch.from_numpy(around), variable).numpy(), np.ones(len(after))])
    wanted = bent.detach().numpy()
    residual = wanted - known @ np.linalg.lstsq(known, wanted, rcond=None)[0]
    deviation = max(residual.std(), ROUNDING * wanted.std())  # what stays as it is is forecast to the last bit
    return float(slope.abs().log().mean()) - float(np.log(deviation))


def transformed(dataset: Dataset, channel: int, variable: Variable) -> Dataset:
    """The dataset with another transform of one channel, and statistics under it."""
    own, there = dataset.variables[channel], dataset.statistics
    parts = (_moments(pair, variable) for pair in successive(dataset, own.name))
    found = sum(parts, VariableMoments()).finish()
    for extreme in ("min", "max"):
        before = torch.tensor(getattr(there, extreme)[channel])
        found[extreme] = float(transform(inverse(before, own), variable))
    found["zero_share"] = there.zero_share[channel]
    statistics = Statistics(**{name: _put(getattr(there, name), channel, value) for name, value in found.items()})
    variables = (*dataset.variables[:channel], variable, *dataset.variables[channel + 1 :])
    return replace(dataset, variables=variables, statistics=statistics)


def _moments(pair: Array, variable: Variable) -> VariableMoments:
    states = transform(torch.from_numpy(pair), variable).numpy()
    return VariableMoments(state=Moments.of(states), delta=Moments.of(states[1] - states[0]))


def _put(values: Array, at: int, value: float) -> Array:
    changed = values.copy()
    changed[at] = value
    return changed
