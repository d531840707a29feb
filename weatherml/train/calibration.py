"""The spread of a generative model, fitted on the validation part: each field has a temperature.

A sampler with few steps draws too little variance, and a network that was trained on little data errs more
than it knows. Either way the ratio of spread to error is off by a factor, which a temperature takes back.
"""

from __future__ import annotations

import math

import torch

from weatherml.models.base import GenerativeModel
from weatherml.run.calibration import Calibration
from weatherml.train.validation import Validator

LIMITS = (0.8, 1.25)
"""A temperature outside these would hide a model that has not learnt."""
USUAL = 0.05
"""The standard deviation of ln(spread / error) over runs and variables: what is expected before it is measured."""
ROUNDS, ENOUGH = 2, 0.03
"""How often temperatures are set at most, and what may be left of a logarithm that was to go."""


def calibrate(model: GenerativeModel, validator: Validator, sampler: dict[str, object] | None) -> Calibration:
    """Fit the temperatures of a model in evaluation mode, which is left with them.

    The spread is about linear in the temperature, so each field's is divided by the spread-skill ratio that was
    measured, and by what is left of it once more where the spread gave way too little. A ratio that is not well known
    counts less: few points decide that of a heavy tail. What does not help is not kept.

    Args:
        model: draws the samples.
        validator: measures, with several members.
        sampler: settings of the sampler that the model draws with, for the record.
    """
    names = validator.loader.dataset.names
    model.temperature.fill_(1.0)  # of a run that was calibrated before: its spread as it was learnt
    skill = validator(model)
    before = after = skill.spread_skill
    errors = skill.spread_skill_error
    doubted = {name: ln(ratio) - ln(credible(ratio, errors.get(name, math.inf))) for name, ratio in before.items()}

    def excess(ratios: dict[str, float]) -> list[float]:
        return [ln(ratios.get(name, 1.0)) - doubted.get(name, 0.0) for name in names]

    for _ in range(ROUNDS):
        kept = model.temperature.clone()
        model.temperature.copy_(adjusted(kept, excess(after)))
        fitted = validator(model).spread_skill
        if distance(fitted) >= distance(after):
            model.temperature.copy_(kept)
            break
        after = fitted
        if max(map(abs, excess(fitted))) <= ENOUGH:
            break
    temperature = tuple(model.temperature.flatten().tolist())
    return Calibration(temperature=temperature, sampler=sampler, before=before, after=after)


def credible(ratio: float, error: float) -> float:
    """The expectation of a ratio that was measured with a standard error in its logarithm; about 1 before that."""
    known: float = USUAL**2 / (USUAL**2 + error**2)
    return math.exp(known * ln(ratio))


def adjusted(temperature: torch.Tensor, excess: list[float]) -> torch.Tensor:
    """The temperatures to try, (L*C, 1, 1), where the logarithms of C variables' ratios are too large by `excess`."""
    factors = torch.tensor(excess, device=temperature.device).exp()
    factors = factors.repeat(len(temperature) // len(excess))  # leads that are drawn together share their variable's
    return (temperature / factors[:, None, None]).clamp(*LIMITS)


def distance(ratios: dict[str, float]) -> float:
    """How far spread-skill ratios are from 1: the mean of |ln|."""
    return sum(abs(ln(ratio)) for ratio in ratios.values()) / max(1, len(ratios))


def ln(ratio: float) -> float:
    """The logarithm, of no spread too."""
    return math.log(max(ratio, 1e-3))
