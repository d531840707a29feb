"""Schedules against diffusers', and the levels that are taken from them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from weatherml.config import parse
from weatherml.diffusion.schedule import CURVES, GREATEST_SIGMA, Schedule
from weatherml.diffusion.spacing import tangent
from weatherml.errors import ConfigError

THEIRS: dict[str, dict[str, Any]] = {
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
}
ALL = [(curve, steps) for curve in sorted(CURVES) for steps in (1000, 200)]


def make_schedule(curve: str, steps: int = 1000) -> Schedule:
    return parse(Schedule, {"curve": curve, "steps": steps})


@pytest.mark.parametrize(("curve", "steps"), ALL)
def test_equals_diffusers(curve: str, steps: int) -> None:
    settings = dict(THEIRS[curve])
    for end in {"beta_start", "beta_end"} & set(settings):
        settings[end] *= 1000 / steps
    theirs = DDPMScheduler(num_train_timesteps=steps, **settings).alphas_cumprod.double()
    ours = make_schedule(curve, steps)
    assert ours.betas().dtype == torch.float64
    torch.testing.assert_close(ours.alphas_cumprod(), theirs, rtol=0, atol=1e-6)
    # theirs is a float32 product of 1000 factors
    torch.testing.assert_close(
        ours.sigmas()[: int(0.9 * steps)], ((1 - theirs) / theirs).sqrt()[: int(0.9 * steps)], rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(("curve", "steps"), ALL)
def test_levels_increase_and_any_length_ends_as_noisy(curve: str, steps: int) -> None:
    sigmas = make_schedule(curve, steps).sigmas()
    assert sigmas.shape == (steps,)
    assert sigmas[0] > 0
    assert (sigmas.diff() > 0).all()
    if curve != "cosine":  # cosine ends in its cap, beta = 0.999
        assert float(sigmas[-1] / make_schedule(curve).sigmas()[-1]) == pytest.approx(1, abs=0.2)


def test_a_shift_multiplies_every_level() -> None:
    plain, shifted = Schedule(), Schedule(shift=1.5)
    torch.testing.assert_close(shifted.sigmas(), math.exp(1.5) * plain.sigmas(), rtol=1e-9, atol=0)
    assert int(shifted.timestep(torch.tensor(5.0 * math.exp(1.5)))) == int(plain.timestep(torch.tensor(5.0)))


def test_cosine_has_the_levels_of_its_angle() -> None:
    sigmas = Schedule().sigmas()
    # abar_t = cos(a)^2 / cos(a_0)^2 with a = (t / T + 0.008) / 1.008 * pi / 2; a_0 = 0.012, so sigma is nearly tan(a)
    angle = (500 / 1000 + 0.008) / 1.008 * math.pi / 2
    assert float(sigmas[499]) == pytest.approx(math.tan(angle), rel=1e-3)
    assert float(sigmas[-1]) > 1e4


@pytest.mark.parametrize(("curve", "steps"), ALL)
def test_the_nearest_timestep(curve: str, steps: int) -> None:
    schedule = make_schedule(curve, steps)
    sigmas = schedule.sigmas()
    assert torch.equal(schedule.timestep(sigmas), torch.arange(steps))
    between = torch.tensor(
        [1e-6, 1e9, float((sigmas[3] * sigmas[4]).sqrt() * 1.0001), float((sigmas[3] * sigmas[4]).sqrt() * 0.9999)]
    )
    assert schedule.timestep(between.double()).tolist() == [0, steps - 1, 4, 3]
    assert schedule.timestep(sigmas.float()[[5, 7]].view(2, 1)).tolist() == [[5], [7]]


@pytest.mark.parametrize("curve", ["linear", "scaled-linear"])
@pytest.mark.parametrize("steps", [7, 16, 50, 1000])
def test_trailing_equals_diffusers(curve: str, steps: int) -> None:
    theirs = DDIMScheduler(**THEIRS[curve], timestep_spacing="trailing")
    theirs.set_timesteps(steps)
    schedule = make_schedule(curve)
    levels = schedule.trailing(steps)
    assert schedule.timestep(levels[:-1]).tolist() == theirs.timesteps.tolist()


@pytest.mark.parametrize(("curve", "steps"), ALL)
@pytest.mark.parametrize("count", [1, 16, 199, 200])
def test_what_samplers_take_is_of_the_schedule_and_falls_to_zero(curve: str, steps: int, count: int) -> None:
    schedule = make_schedule(curve, steps)
    for levels in (schedule.trailing(count), schedule.nearest(tangent(count))):
        assert levels.shape == (count + 1,)
        assert levels.dtype == torch.float64
        assert levels[-1] == 0
        assert (levels.diff() < 0).all()
        assert set(levels[:-1].tolist()) <= set(schedule.sigmas().tolist())


def test_few_trailing_steps_do_not_start_at_the_end_of_cosine() -> None:
    assert GREATEST_SIGMA * 0.9 < float(Schedule().trailing(16)[0]) <= GREATEST_SIGMA
    assert torch.equal(Schedule().trailing(1000)[:-1], Schedule().sigmas().flip(0))


def test_nearest_are_the_nearest_where_they_are_apart() -> None:
    schedule, levels = Schedule(), tangent(16)
    expected = schedule.sigmas()[schedule.timestep(levels[:-1])]
    assert torch.equal(schedule.nearest(levels)[:-1], expected)
    assert float((expected / levels[:-1]).log().abs().max()) < 0.12  # the schedule is coarse at its ends


def test_more_steps_than_timesteps() -> None:
    for levels in (lambda: Schedule(steps=200).trailing(201), lambda: Schedule(steps=200).nearest(tangent(201))):
        with pytest.raises(
            ConfigError, match=r"^sampler\.steps: 201 exceeds the noise schedule's 200; set fewer steps$"
        ):
            levels()


def test_training_draws_every_timestep_alike() -> None:
    schedule = Schedule(steps=200)
    drawn = schedule.timestep(schedule.draw(400))
    assert torch.bincount(drawn, minlength=200).tolist() == [2] * 200  # stratified: 400 draws are two of each


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.steps: .* got 10; set schedule\.steps"):
        parse(Schedule, {"steps": 10}, at="schedule")
    with pytest.raises(ConfigError, match=r"schedule\.curve: .*'cosine', 'linear' or 'scaled-linear'.*got 'sine'"):
        parse(Schedule, {"curve": "sine"}, at="schedule")
