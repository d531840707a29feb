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
from weatherml.nn.equalizer import Equalizer
from weatherml.nn.padding import Padding
from weatherml.run.experiment import Experiment
from weatherml.train.calibration import GAINS, LIMITS, USUAL, calibrate, trust, turned
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
        bands = None if skill.bands is None else replace(skill.bands, error=torch.zeros(()))
        return replace(skill, spread_skill_error=dict.fromkeys(skill.spread_skill, 0.0), bands=bands)


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
    ratios, errors = ([of[name] for name in dataset.names] for of in (skill.spread_skill, skill.spread_skill_error))
    wanted = torch.tensor(ratios) ** -trust(torch.tensor(errors), USUAL)
    assert fit.temperature == pytest.approx(wanted.tolist(), rel=0.03)
    low, _, high = fit.after.values()
    assert 0.86 < low < 1 < high < 1.1


def test_one_case_tells_nothing(dataset: Dataset, error: torch.Tensor) -> None:
    single = validator(Validator, dataset)
    single.initial = single.initial[:1]
    assert calibrate(model(error, [0.85, 0.9, 1.1]), single, None).temperature == (1.0, 1.0, 1.0)


def test_trust_by_hand() -> None:
    # an error as large as what is usual: half of the logarithm is believed
    assert trust(torch.tensor([USUAL, 0.0, math.inf]), USUAL).tolist() == [0.5, 1.0, 0.0]


def test_the_error_of_a_ratio_is_what_drawing_it_anew_shows() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = 5000, 40
    a, b = torch.rand(shape, generator=generator) + 1, torch.empty(shape).exponential_(generator=generator)
    ratios = 0.5 * (a.sum(1) / b.sum(1)).log()
    errors = jackknife_error(torch.stack([a, b], 2).permute(1, 2, 0))
    assert errors.shape == (5000,)
    assert float(errors.mean()) == pytest.approx(float(ratios.std()), rel=0.05)


def test_turned_by_hand() -> None:
    # two variables, two leads drawn together: each is divided by its variable's ratio
    logs = torch.tensor([0.9, 1.1]).log()
    four = turned(torch.ones(4), logs, LIMITS)
    torch.testing.assert_close(four, 1 / torch.tensor([0.9, 1.1, 0.9, 1.1]))
    again = turned(four, torch.tensor([math.log(0.95), 0.0]), LIMITS)
    torch.testing.assert_close(again[:2], 1 / torch.tensor([0.9 * 0.95, 1.1]))
    assert turned(torch.ones(2), torch.tensor([-2.0, 2.0]), LIMITS).tolist() == pytest.approx([1.25, 0.8])
    bands = turned(torch.ones(3, 4), torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 9.0]]), GAINS)
    wanted = torch.tensor([[-0.1, -0.2, -0.1, -0.2], [-0.3, -0.4, -0.3, -0.4], [-0.5, math.log(0.5)] * 2])
    torch.testing.assert_close(bands.log(), wanted)


class Waves(GenerativeModel):
    """Persistence with noise whose waves have given standard deviations, (bands, C), before it is tempered."""

    def __init__(self, dataset: Dataset, *, tied: int = -1) -> None:
        untied = torch.tensor([float(c != tied) for c in range(len(dataset.names))])
        size = max(dataset.grid.shape)
        super().__init__(len(untied), Equalizer(untied, size=size, padding=Padding()))
        self.waves = Equalizer(untied, size=size, padding=Padding())

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        assert noise is not None
        last = batch.history[:, -1:]
        return last + self.tempered(self.waves(noise(last[:, 0].shape)))[:, None]


def waves(dataset: Dataset, validate: Validator, off: torch.Tensor, *, tied: int = -1) -> Waves:
    """As its error is, times `off` in each band."""
    model = Waves(dataset, tied=tied).eval()
    for _ in range(8):  # neighbouring bands overlap
        found = validate(model).bands
        assert found is not None
        model.waves.gains.div_(found.spread_skill)
    model.waves.gains.mul_(off)
    return model


def test_each_band_is_mended(validate: Validator, dataset: Dataset) -> None:
    bands = len(Waves(dataset).waves.gains)
    off = torch.where(torch.arange(bands) < bands // 2, 0.65, 1.5)
    model = waves(dataset, validate, off[:, None])
    first = validate(model).bands
    assert first is not None
    fit = calibrate(model, validate, None)
    before, after = (
        torch.tensor([found[name] for name in dataset.names]).log().abs()
        for found in (fit.bands_before, fit.bands_after)
    )
    share = first.share.T  # where little is, what is seen is mostly the neighbours'
    assert float((share * before).sum(1).min()) > 0.1
    assert float((share * after).sum(1).max()) < 0.08
    assert model.equalizer is not None
    assert tuple(model.equalizer.gains.flatten().tolist()) == fit.gains
    assert list(fit.after.values()) == pytest.approx([1, 1, 1], abs=0.03)


def test_bands_of_what_has_ties_stay(validate: Validator, dataset: Dataset) -> None:
    bands = len(Waves(dataset).waves.gains)
    model = waves(dataset, validate, torch.linspace(0.7, 1.3, bands)[:, None], tied=1)
    gains = torch.tensor(calibrate(model, validate, None).gains).view(bands, 3)
    assert (gains[:, 1] == 1).all()
    assert (gains[:, [0, 2]] != 1).all()


def test_gains_of_an_earlier_fit_are_forgotten(validate: Validator, dataset: Dataset) -> None:
    bands = len(Waves(dataset).waves.gains)
    model = waves(dataset, validate, torch.linspace(0.9, 1.1, bands)[:, None])
    assert calibrate(model, validate, None) == calibrate(model, validate, None)


def test_a_band_that_hides_what_is_not_learnt_has_its_limit(validate: Validator, dataset: Dataset) -> None:
    bands = len(Waves(dataset).waves.gains)
    fit = calibrate(waves(dataset, validate, torch.logspace(-1, 1, bands)[:, None]), validate, None)
    assert min(fit.gains) == pytest.approx(GAINS[0])
    assert max(fit.gains) == pytest.approx(GAINS[1])
