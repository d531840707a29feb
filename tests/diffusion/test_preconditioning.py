"""Predictions against their definitions, each other, and diffusers."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler
from torch import Tensor

from weatherml.diffusion.preconditioning import PREDICTIONS, Prediction, c_noise, coefficients
from weatherml.diffusion.schedule import Schedule

SIGMAS = torch.tensor([0.01, 0.3, 1.0, 7.0, 80.0], dtype=torch.float64).view(-1, 1, 1)


def make_pair(sigma_data: float | Tensor = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """(x, y, n) with x = y + sigma n, (5, 2, 100000)."""
    draw = torch.Generator().manual_seed(0)
    y, n = (torch.randn(5, 2, 100_000, generator=draw, dtype=torch.float64) for _ in range(2))
    y = y * sigma_data
    return y + SIGMAS * n, y, n


def test_the_table_has_every_prediction() -> None:
    assert set(PREDICTIONS) == set(get_args(Prediction))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("sigma_data", [1.0, 0.5, torch.tensor([[0.5], [3.0]], dtype=torch.float64)])
def test_a_perfect_network_gives_the_clean_field(prediction: Prediction, sigma_data: float | Tensor) -> None:
    x, y, _ = make_pair(sigma_data)
    c = coefficients(prediction, SIGMAS, sigma_data)
    torch.testing.assert_close(c.denoised(x, c.target(x, y)), y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_best_network_is_the_same_denoiser(prediction: Prediction) -> None:
    x, y, _ = make_pair()
    c = coefficients(prediction, SIGMAS)
    target, inputs = c.target(x, y), c.c_in * x
    # the regression of the target on the input; D must be that of y on x, 1 / (1 + sigma^2)
    slope = (target * inputs).mean(-1, keepdim=True) / inputs.square().mean(-1, keepdim=True)
    denoised = c.denoised(x, slope * inputs)
    expected = (y * x).mean(-1, keepdim=True) / x.square().mean(-1, keepdim=True) * x
    torch.testing.assert_close(denoised, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(expected, x / (1 + SIGMAS**2), rtol=0, atol=0.05)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("sigma_data", [1.0, 0.5])
def test_inputs_and_targets_have_unit_variance(prediction: Prediction, sigma_data: float) -> None:
    x, y, _ = make_pair(sigma_data)
    c = coefficients(prediction, SIGMAS, sigma_data)
    assert (c.c_in * x).std(-1).flatten().tolist() == pytest.approx([1] * 10, abs=0.01)
    assert c.target(x, y).std(-1).flatten().tolist() == pytest.approx([1] * 10, abs=0.01)


def test_targets_are_what_their_names_say() -> None:
    x, y, n = make_pair()
    a, s = (1 + SIGMAS**2).rsqrt(), SIGMAS * (1 + SIGMAS**2).rsqrt()
    expected = {"epsilon": n, "x0": y, "v": a * n - s * y, "edm": s * y - a * n}
    for prediction, target in expected.items():
        c = coefficients(prediction, SIGMAS)  # type: ignore[arg-type]
        torch.testing.assert_close(c.target(x, y), target, rtol=0, atol=1e-9)


def test_edm_at_one_point() -> None:
    c = coefficients("edm", torch.tensor([2.0]), 0.5)
    # sigma^2 + sigma_data^2 = 4.25
    assert float(c.c_skip) == pytest.approx(0.25 / 4.25)
    assert float(c.c_out) == pytest.approx(2.0 * 0.5 / 4.25**0.5)
    assert float(c.c_in) == pytest.approx(1 / 4.25**0.5)
    assert float(c_noise(torch.tensor(2.0))) == pytest.approx(0.1732868)  # ln(2) / 4


@pytest.mark.parametrize("sigma", [0.002, 0.5, 80.0])
def test_edm_equals_diffusers(sigma: float) -> None:
    theirs = EDMEulerScheduler(sigma_data=0.5)
    x, output = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    c = coefficients("edm", torch.tensor(sigma), 0.5)
    torch.testing.assert_close(c.denoised(x, output), theirs.precondition_outputs(x, output, torch.tensor(sigma)))
    torch.testing.assert_close(c.c_in * x, theirs.precondition_inputs(x, torch.tensor(sigma)))
    assert float(c_noise(torch.tensor(sigma))) == pytest.approx(float(theirs.precondition_noise(sigma)))


@pytest.mark.parametrize(("prediction", "name"), [("epsilon", "epsilon"), ("v", "v_prediction"), ("x0", "sample")])
def test_ddpm_equals_diffusers(prediction: Prediction, name: Any) -> None:
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type=name, clip_sample=False)
    y, n = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    t = torch.tensor([10, 400, 900])
    sigma = Schedule().sigmas()[t].float().view(-1, 1, 1, 1)
    c = coefficients(prediction, sigma)
    x, x_t = y + sigma * n, theirs.add_noise(y, n, t)
    torch.testing.assert_close(c.c_in * x, x_t, rtol=1e-4, atol=1e-5)
    target = {"epsilon": n, "v": theirs.get_velocity(y, n, t), "x0": y}[prediction]
    torch.testing.assert_close(c.target(x, y), target, rtol=1e-3, atol=1e-4)
    output = torch.randn(1, 2, 4, 4)
    denoised = theirs.step(output, 400, x_t[1:2]).pred_original_sample
    torch.testing.assert_close(c.denoised(x, output)[1:2], denoised, rtol=1e-4, atol=1e-4)
