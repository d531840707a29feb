"""Samplers against diffusers' schedulers, with the same denoiser, levels and noise.

diffusers carries x_t = x / sqrt(1 + sigma^2), the variance-preserving variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from weatherml.diffusion.schedule import Schedule
from weatherml.diffusion.spacing import ended
from weatherml.samplers import SAMPLERS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs, with NumPy 2
SHAPE = (2, 3, 8, 8)
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "prediction_type": "sample"}
COSINE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}


def denoise(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / (1 + sigma**2))


def run_diffusers(scheduler: Any, sigmas: list[float], start: Tensor, step: Callable[..., Tensor]) -> Tensor:
    """Through all the timesteps from the VE variable `start`; `step(output, t, x_t)` is the scheduler's."""
    x_t = start / (1 + sigmas[0] ** 2) ** 0.5
    for t, sigma in zip(scheduler.timesteps, sigmas, strict=True):
        x_t = step(denoise(x_t * (1 + sigma**2) ** 0.5, sigma), t, x_t)
    return x_t


def make_start(sigma: float) -> Tensor:
    return sigma * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("steps", [5, 16, 30])
@pytest.mark.parametrize("karras", [True, False])
def test_dpm_solver_pp(steps: int, karras: bool) -> None:
    scheduler = DPMSolverMultistepScheduler(
        **LINEAR,
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        lower_order_final=True,
        use_karras_sigmas=karras,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()
    start = make_start(float(sigmas[0]))
    theirs = run_diffusers(scheduler, sigmas[:-1].tolist(), start, lambda *x: scheduler.step(*x, return_dict=False)[0])
    ours = SAMPLERS["dpm-solver++"](steps=steps).sample(denoise, start, sigmas.tolist(), torch.randn)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("settings", [LINEAR, COSINE])
def test_ddim(settings: dict[str, Any], eta: float) -> None:
    scheduler = DDIMScheduler(**settings, clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(20)
    levels = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).double().sqrt()
    sigmas = ended(levels[scheduler.timesteps])
    start = make_start(float(sigmas[0]))
    draws = torch.Generator().manual_seed(1)

    def step(output: Tensor, t: Tensor, x_t: Tensor) -> Tensor:
        if t == scheduler.timesteps[-1]:  # theirs ends with abar of the first timestep, or 1: here 1, so no noise
            return scheduler.step(output, t, x_t, return_dict=False)[0]
        return scheduler.step(output, t, x_t, eta=eta, generator=draws, return_dict=False)[0]

    theirs = run_diffusers(scheduler, sigmas[:-1].tolist(), start, step)
    again = torch.Generator().manual_seed(1)
    sampler = SAMPLERS["ddim"](steps=20, eta=eta)  # type: ignore[call-arg]
    ours = sampler.sample(
        denoise, start, sigmas.tolist(), lambda s: torch.randn(*s, generator=again, dtype=torch.float64)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [LINEAR, COSINE])
@pytest.mark.parametrize("steps", [1000, 50])
def test_ddpm_step_for_step(settings: dict[str, Any], steps: int) -> None:
    scheduler = DDPMScheduler(**settings, variance_type="fixed_small", clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    levels = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).double().sqrt()
    sigmas = ended(levels[scheduler.timesteps])
    start = make_start(float(sigmas[0]))
    draws, again = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    states: list[Tensor] = []

    def step(output: Tensor, t: Tensor, x_t: Tensor) -> Tensor:
        states.append(x_t)
        return scheduler.step(output, t, x_t, generator=draws, return_dict=False)[0]

    def watched(x: Tensor, sigma: float) -> Tensor:
        torch.testing.assert_close(x / (1 + sigma**2) ** 0.5, states.pop(0), rtol=1e-3, atol=1e-4)
        return denoise(x, sigma)

    theirs = run_diffusers(scheduler, sigmas[:-1].tolist(), start, step)
    ours = SAMPLERS["ddpm"](steps=steps).sample(
        watched, start, sigmas.tolist(), lambda s: torch.randn(*s, generator=again, dtype=torch.float64)
    )
    assert not states
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_schedule_gives_the_levels_of_their_trailing_timesteps() -> None:
    scheduler = DPMSolverMultistepScheduler(**LINEAR, timestep_spacing="trailing")
    scheduler.set_timesteps(16)
    torch.testing.assert_close(Schedule(curve="linear").trailing(16), scheduler.sigmas.double(), rtol=1e-4, atol=0)
