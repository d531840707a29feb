"""The spread of a generative model, fitted on the validation part: noise is multiplied by a temperature.

A sampler with few steps draws too little variance, and a network that was trained on little data errs more
than it knows. Either way the ratio of spread to error is off by a factor, which multiplying the noise takes back.
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


def calibrate(model: GenerativeModel, validator: Validator, sampler: dict[str, object] | None) -> Calibration:
    """Fit the temperature of a model in evaluation mode, which is left with it.

    The spread is about linear in the noise, so it is divided by the spread-skill ratio that was measured:
    each field by its own where there is a temperature for each, else all by their geometric mean. A ratio that
    is not well known counts less: few points decide that of a heavy tail. Where the temperature does not help, the
    spread stays as it was learnt.

    Args:
        model: draws the samples.
        validator: measures, with several members.
        sampler: settings of the sampler that the model draws with, for the record.
    """
    names = validator.loader.dataset.names
    model.temperature.fill_(1.0)  # of a run that was calibrated before: its spread as it was learnt
    skill = validator(model)
    before = after = skill.spread_skill
    believed = [credible(before.get(name, 1.0), skill.spread_skill_error.get(name, math.inf)) for name in names]
    model.temperature.copy_(adjusted(model.temperature, believed))
    fitted = validator(model).spread_skill
    if distance(fitted) < distance(before):
        after = fitted
    else:
        model.temperature.fill_(1.0)
    temperature = tuple(model.temperature.flatten().tolist())
    return Calibration(temperature=temperature, sampler=sampler, before=before, after=after)


def credible(ratio: float, error: float) -> float:
    """The expectation of a ratio that was measured with a standard error in its logarithm; about 1 before that."""
    known: float = USUAL**2 / (USUAL**2 + error**2)
    return math.exp(known * math.log(max(ratio, 1e-3)))


def adjusted(temperature: torch.Tensor, ratios: list[float]) -> torch.Tensor:
    """The temperature to try, (fields or 1, 1, 1), after spread-skill ratios of C variables."""
    ratio = torch.tensor(ratios, device=temperature.device)
    if len(temperature) == 1:
        ratio = ratio.log().mean().exp()[None]
    factors = ratio.repeat(len(temperature) // len(ratio))  # leads that are drawn together share their variable's
    return (temperature / factors[:, None, None]).clamp(*LIMITS)


def distance(ratios: dict[str, float]) -> float:
    """How far spread-skill ratios are from 1: the mean of |ln|."""
    return sum(abs(math.log(max(ratio, 1e-3))) for ratio in ratios.values()) / max(1, len(ratios))
