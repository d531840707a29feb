"""The spread of a generative model, fitted on the validation part: by bands of scales, and as a whole.

A sampler with few steps draws too little variance, and a network that was trained on little data errs more
than it knows. Either way the ratio of spread to error is off by a factor, which a temperature takes back. A score of
points hardly tells over what distances an error reaches: of the waves that few cases are needed to measure, it has not
learnt the variance to better than a factor of two when training ends. The gains of an equalizer take that back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from weatherml.models.base import GenerativeModel
from weatherml.run.calibration import Calibration
from weatherml.train.skill import Skill
from weatherml.train.validation import Validator

LIMITS, GAINS = (0.8, 1.25), (0.5, 2.0)
"""A temperature, or the gain of a band, outside these would hide a model that has not learnt."""
USUAL, USUAL_OF_BANDS = 0.05, 0.2
"""The standard deviation of ln(spread / error) over runs and variables: what is expected before it is measured."""
ROUNDS, ENOUGH = 2, 0.02
"""How often anything is set at most, and what may be left of a logarithm that was to go."""

Logarithms = Callable[[Skill], Tensor]
"""ln(spread / error), (..., C)."""


def calibrate(model: GenerativeModel, validator: Validator, sampler: dict[str, object] | None) -> Calibration:
    """Fit the gains and the temperatures of a model in evaluation mode, which is left with them.

    The spread is about linear in either, so each is divided by the spread-skill ratio that was measured, and by what is
    left of it once more where the spread gave way too little. A ratio that is not well known counts less: few points
    decide that of a heavy tail. What does not help is not kept. Temperatures come last: they are judged in units.

    Args:
        model: draws the samples.
        validator: measures, with several members.
        sampler: settings of the sampler that the model draws with, for the record.
    """
    names, equalizer = validator.loader.dataset.names, model.equalizer
    model.temperature.fill_(1.0)  # of a run that was calibrated before: its spread as it was learnt
    gains = torch.ones(0) if equalizer is None else equalizer.gains.fill_(1.0)
    measure = partial(validator, model)
    first = found = measure()
    if equalizer is not None and first.bands is not None:
        error, share, untied = first.bands.error, first.bands.share, equalizer.untied[: len(names)]

        def of_bands(skill: Skill) -> Tensor:
            assert skill.bands is not None
            return untied * logarithm(skill.bands.spread_skill)

        found = settle(gains, GAINS, first, measure, of_bands, error=error, usual=USUAL_OF_BANDS, weight=share)

    def of_variables(skill: Skill) -> Tensor:
        return logarithm(torch.tensor([skill.spread_skill.get(name, 1.0) for name in names]))

    error = torch.tensor([first.spread_skill_error.get(name, torch.inf) for name in names])
    found = settle(model.temperature.view(-1), LIMITS, found, measure, of_variables, error=error, usual=USUAL)
    return Calibration(
        temperature=tuple(model.temperature.flatten().tolist()),
        gains=tuple(gains.flatten().tolist()),
        sampler=sampler,
        before=first.spread_skill,
        after=found.spread_skill,
        bands_before=first.by_band(),
        bands_after=found.by_band(),
    )


def settle(
    knob: Tensor,
    limits: tuple[float, float],
    found: Skill,
    measure: Callable[[], Skill],
    logarithms: Logarithms,
    *,
    error: Tensor,
    usual: float,
    weight: Tensor | float = 1.0,
) -> Skill:
    """Turn `knob` to where the logarithms are about 0; returns the skill there.

    Args:
        knob: (..., L*C) of the model, which is changed.
        limits: of it.
        found: the skill as it is.
        measure: the model's skill.
        logarithms: of ratios that are about linear in the knob, (..., C).
        error: their standard errors.
        usual: what they usually are.
        weight: what each counts, (..., C): its share of the variance.
    """
    doubted = logarithms(found) * (1 - trust(error, usual))
    for _ in range(ROUNDS):
        kept = knob.clone()
        knob.copy_(turned(knob, logarithms(found) - doubted, limits))
        fitted = measure()
        if distance(logarithms(fitted), weight) >= distance(logarithms(found), weight):
            knob.copy_(kept)
            break
        found = fitted
        if float((weight**0.5 * (logarithms(found) - doubted)).abs().max()) <= ENOUGH:
            break
    return found


def trust(error: Tensor, usual: float) -> Tensor:
    """The share of a logarithm to believe that was measured with a standard error and usually is about `usual`."""
    return usual**2 / (usual**2 + error.square())


def turned(knob: Tensor, excess: Tensor, limits: tuple[float, float]) -> Tensor:
    """The knob to try, (..., L*C), where the logarithms (..., C) of ratios are too large by `excess`."""
    leads = knob.shape[-1] // excess.shape[-1]  # those that are drawn together share their variable's
    factors = excess.to(knob).exp().repeat(*[1] * (excess.ndim - 1), leads)
    return (knob / factors).clamp(*limits)


def distance(logarithms: Tensor, weight: Tensor | float) -> float:
    """How far ratios are from 1: the sum of weight * |ln|."""
    return float((weight * logarithms.abs()).sum())


def logarithm(ratios: Tensor) -> Tensor:
    """The logarithm, of no spread too; 0 of what is not known."""
    return ratios.nan_to_num(1.0).clamp_min(1e-3).log()
