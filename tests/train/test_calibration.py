"""Calibration: an ensemble of known dispersion ends at a spread-skill ratio of 1, and never further from it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from weatherml.config import parse
from weatherml.data.known import KnownFields
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.fields import Batch, Fields, Noise
from weatherml.models.base import GenerativeModel, Model
from weatherml.run.experiment import Experiment
from weatherml.train.calibration import LIMITS, USUAL, adjusted, calibrate, credible
from weatherml.train.skill import Pause, Skill, no_pause
from weatherml.train.validation import Validator, jackknife_error


class Spread(GenerativeModel):
    """Persistence with noise of a given standard deviation for each variable, in units of its error."""

    def __init__(self, std: torch.Tensor, response: float = 1.0) -> None:
        super().__init__(len(std))
        self.std, self.response = std.view(-1, 1, 1), response

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        assert noise is not None
        last = batch.history[:, -1:]
        return last + self.std * self.temperature**self.response * noise(last.shape)


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset).select(["t2m", "u10", "v10"])


class Certain(Validator):
    """Says that its ratios are known exactly."""

    def __call__(self, model: Model, pause: Pause = no_pause) -> Skill:
        skill = super().__call__(model, pause)
        return replace(skill, spread_skill_error=dict.fromkeys(skill.spread_skill, 0.0))


@pytest.fixture(scope="module")
def validate(dataset: Dataset) -> Validator:
    return validator(Certain, dataset)


def validator(kind: type[Validator], dataset: Dataset) -> Validator:
    settings = {"data": {"history": 1}, "model": {"kind": "crps"}, "train": {"batch": 8}}
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    sizes = {"cases": 6, "lead_steps": 1, "members": 4}
    return kind(dataset, parse(Experiment, settings), normaliser, KnownFields(dataset), **sizes)


@pytest.fixture(scope="module")
def error(validate: Validator, dataset: Dataset) -> torch.Tensor:
    """The standard deviation of persistence's error on the validation part, normalised: of noise of 1e-3."""
    ratios = validate(Spread(torch.full((3,), 1e-3))).spread_skill
    std: torch.Tensor = 1e-3 * (5 / 4) ** 0.5 / torch.tensor([ratios[name] for name in dataset.names])
    return std


def model(error: torch.Tensor, off: list[float], response: float = 1.0) -> Spread:
    return Spread(error * torch.tensor(off), response)


def test_too_little_spread_is_mended_field_by_field(validate: Validator, error: torch.Tensor) -> None:
    spread = model(error, [0.85, 0.9, 1.1])
    fit = calibrate(spread, validate, {"kind": "heun", "steps": 4})
    assert list(fit.before.values()) == pytest.approx([0.85, 0.9, 1.1], rel=0.1)
    assert list(fit.after.values()) == pytest.approx([1, 1, 1], abs=0.03)
    assert fit.temperature == pytest.approx([1 / 0.85, 1 / 0.9, 1 / 1.1], rel=0.1)
    assert tuple(spread.temperature.flatten().tolist()) == fit.temperature
    assert fit.sampler == {"kind": "heun", "steps": 4}


def test_what_gives_way_too_little_is_mended_twice(validate: Validator, error: torch.Tensor) -> None:
    fit = calibrate(model(error, [0.9, 0.9, 1.1], response=0.6), validate, None)
    assert list(fit.after.values()) == pytest.approx([r ** (0.4**2) for r in fit.before.values()], abs=0.02)


@pytest.mark.parametrize("off", [[0.3, 0.3, 0.3], [1.0, 1.0, 1.0], [0.5, 1.0, 2.0]])
@pytest.mark.parametrize("response", [0.3, 1.0, 3.0])
def test_never_further_from_one_than_before(
    validate: Validator, error: torch.Tensor, off: list[float], response: float
) -> None:
    fit = calibrate(model(error, off, response), validate, None)
    before, after = (
        sum(abs(torch.tensor(ratio).log().item()) for ratio in found.values()) for found in (fit.before, fit.after)
    )
    assert after <= before
    assert all(LIMITS[0] - 1e-6 <= value <= LIMITS[1] + 1e-6 for value in fit.temperature)


def test_what_makes_it_worse_is_not_kept(validate: Validator, error: torch.Tensor) -> None:
    stubborn = Spread(error * 0.9, response=-2.0)  # the hotter its noise, the less it spreads
    fit = calibrate(stubborn, validate, None)
    assert fit.temperature == (1.0, 1.0, 1.0)
    assert fit.after == fit.before
    assert torch.equal(stubborn.temperature, torch.ones(3, 1, 1))


def test_an_earlier_fit_is_forgotten(validate: Validator, error: torch.Tensor) -> None:
    fresh, fitted = (model(error, [0.9, 0.9, 0.9]) for _ in range(2))
    fitted.temperature.fill_(1.2)
    assert calibrate(fitted, validate, None) == calibrate(fresh, validate, None)


def test_a_ratio_counts_as_far_as_it_is_known(dataset: Dataset, error: torch.Tensor) -> None:
    validate, spread = validator(Validator, dataset), model(error, [0.85, 0.9, 1.1])
    skill = validate(spread)
    assert all(0.005 < each < 0.2 for each in skill.spread_skill_error.values())  # of six cases
    fit = calibrate(spread, validate, None)
    wanted = [1 / credible(skill.spread_skill[name], skill.spread_skill_error[name]) for name in dataset.names]
    assert fit.temperature == pytest.approx(wanted)
    low, _, high = fit.after.values()
    assert 0.86 < low < 1 < high < 1.1


def test_one_case_tells_nothing(dataset: Dataset, error: torch.Tensor) -> None:
    single = validator(Validator, dataset)
    single.initial = single.initial[:1]
    assert calibrate(model(error, [0.85, 0.9, 1.1]), single, None).temperature == (1.0, 1.0, 1.0)


def test_credible_by_hand() -> None:
    # an error as large as what is usual: half of the logarithm is believed
    assert credible(0.81, USUAL) == pytest.approx(0.9)
    assert credible(0.81, 0.0) == pytest.approx(0.81)
    assert credible(0.81, math.inf) == 1.0


def test_the_error_of_a_ratio_is_what_drawing_it_anew_shows() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = 5000, 40
    a, b = torch.rand(shape, generator=generator) + 1, torch.empty(shape).exponential_(generator=generator)
    ratios = 0.5 * (a.sum(1) / b.sum(1)).log()
    errors = jackknife_error(torch.stack([a, b], 2).permute(1, 2, 0))
    assert errors.shape == (5000,)
    assert float(errors.mean()) == pytest.approx(float(ratios.std()), rel=0.05)


def test_adjusted_by_hand() -> None:
    # two variables, two leads drawn together: each is divided by its variable's ratio
    four = adjusted(torch.ones(4, 1, 1), [math.log(0.9), math.log(1.1)])
    torch.testing.assert_close(four.flatten(), 1 / torch.tensor([0.9, 1.1, 0.9, 1.1]))
    again = adjusted(four, [math.log(0.95), 0.0])
    torch.testing.assert_close(again.flatten()[:2], 1 / torch.tensor([0.9 * 0.95, 1.1]))
    assert adjusted(torch.ones(2, 1, 1), [-2.0, 2.0]).flatten().tolist() == pytest.approx([1.25, 0.8])
