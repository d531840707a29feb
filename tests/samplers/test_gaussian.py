"""Samplers on Gaussian data, where the denoiser and the law of the samples are known exactly.

All is linear there, so a state is written as its coefficients on independent standard normal numbers: the
start, the data's mean, and every later draw of noise. The variance of the samples then is a sum of squares,
with no error of sampling, for the stochastic samplers too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count, pairwise

import pytest
import torch
from torch import Tensor

from weatherml.diffusion.schedule import Schedule
from weatherml.diffusion.spacing import karras, tangent
from weatherml.samplers import SAMPLERS
from weatherml.samplers.base import Sampler

SPREADS = [0.3, 1.0, 2.0]
START, MEAN, FIRST_DRAW = 0, 1, 2


def sample_gaussian(sampler: Sampler, sigmas: Tensor, s: float, *, exact_start: bool = True) -> tuple[float, float]:
    """(standard deviation over s, share of the mean) of samples of N(m, s^2).

    `exact_start`: from the law of x = y + sigma n, otherwise from noise alone, as the contract has it.
    """
    sigma_max = float(sigmas[0])
    basis = torch.eye(FIRST_DRAW + len(sigmas), dtype=torch.float64)
    draws = count(FIRST_DRAW)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return (s**2 * x + sigma**2 * basis[MEAN]) / (s**2 + sigma**2)

    def noise(shape: Sequence[int]) -> Tensor:
        return basis[next(draws)].view(shape)

    start = math.hypot(sigma_max, s) * basis[START] + basis[MEAN] if exact_start else sigma_max * basis[START]
    out = sampler.sample(denoise, start[None], sigmas.tolist(), noise)[0]
    return math.hypot(*out[START:MEAN], *out[FIRST_DRAW:]) / s, float(out[MEAN])


@pytest.mark.parametrize("s", SPREADS)
@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_converges_at_the_declared_order(name: str, s: float) -> None:
    errors = []
    for steps in (64, 128, 256):
        # to 1e-4, where the last step's own error, (1e-4 / s)^2 / 2, is far below the solver's
        sigmas = karras(steps, low=1e-4, high=80.0)
        std, mean = sample_gaussian(SAMPLERS[name](steps=steps), sigmas, s)
        assert mean == pytest.approx(1, abs=1e-9)
        errors.append(abs(std - 1))
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert orders == pytest.approx([SAMPLERS[name].order] * 2, abs=0.25)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_has_the_right_variance_at_every_eta_in_the_limit(eta: float) -> None:
    sampler = SAMPLERS["ddim"](steps=1000, eta=eta)  # type: ignore[call-arg]
    std, _ = sample_gaussian(sampler, karras(1000, low=1e-3, high=80.0), 0.7)
    assert std == pytest.approx(1, abs=0.012)


@pytest.mark.parametrize("churn", [0.0, 10.0, 80.0])
def test_churn_keeps_the_variance(churn: float) -> None:
    sampler = SAMPLERS["heun-churn"](steps=400, churn=churn)  # type: ignore[call-arg]
    std, _ = sample_gaussian(sampler, karras(400, low=1e-3, high=80.0), 0.7)
    assert std == pytest.approx(1, abs=2e-3)


def test_churn_forgets_a_wrong_start_and_louder_noise_widens() -> None:
    sigmas = karras(100, low=1e-3, high=2.0)
    _, kept = sample_gaussian(SAMPLERS["heun"](steps=100), sigmas, 1.0, exact_start=False)
    _, mended = sample_gaussian(SAMPLERS["heun-churn"](steps=100, churn=40.0), sigmas, 1.0, exact_start=False)  # type: ignore[call-arg]
    # the ODE keeps (x - m) / sqrt(s^2 + sigma^2): from 0 instead of m it ends at m - m s / sqrt(s^2 + sigma_max^2)
    assert kept == pytest.approx(1 - 1 / math.sqrt(5), abs=1e-3)
    assert mended > 0.9
    quiet, loud = (SAMPLERS["heun-churn"](steps=100, churn=10.0, s_noise=s_noise) for s_noise in (1.0, 1.05))  # type: ignore[call-arg]
    assert sample_gaussian(loud, sigmas, 1.0)[0] > sample_gaussian(quiet, sigmas, 1.0)[0] + 0.01


def test_the_default_levels_keep_the_spread_in_sixteen_calls() -> None:
    sampler, schedule = SAMPLERS["dpm-solver++"](steps=16), Schedule()
    for s in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0):
        assert sample_gaussian(sampler, tangent(16), s)[0] == pytest.approx(1, abs=0.026)
        assert sample_gaussian(sampler, schedule.nearest(tangent(16)), s)[0] == pytest.approx(1, abs=0.026)


def test_the_last_step_and_the_start_cost_what_is_said() -> None:
    s, low, high = 0.1, 0.02, 40.0
    # at low: x has variance s^2 + low^2, and D's slope is s^2 / (s^2 + low^2): s / sqrt(s^2 + low^2) remains of s
    std, mean = sample_gaussian(
        SAMPLERS["dpm-solver++"](steps=400), karras(400, low=low, high=high), s, exact_start=False
    )
    assert std == pytest.approx(1 / math.sqrt(1 + (low / s) ** 2), abs=1e-3)
    assert 1 - mean == pytest.approx(s / high, rel=0.05)
