"""One family test over every member."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from weatherml.config import parse
from weatherml.diffusion.spacing import karras
from weatherml.errors import ConfigError
from weatherml.fields import Noise
from weatherml.samplers import SAMPLERS
from weatherml.samplers.base import Sampler

MEMBERS = sorted(SAMPLERS)
STEPS = 6


def denoise(x: Tensor, sigma: float) -> Tensor:
    """Nothing linear: two modes at -1 and 1 (the mean of y given x is tanh(x / sigma^2)), point by point."""
    return torch.tanh(x / sigma**2)


def seeded(rows: Sequence[int]) -> Noise:
    """Noise in which every row is a stream of its own."""
    generators = [torch.Generator().manual_seed(row) for row in rows]
    return lambda shape: torch.stack([torch.randn(tuple(shape[1:]), generator=each) for each in generators])


def draw(sampler: Sampler, rows: Sequence[int] = (0, 1, 2), dtype: torch.dtype = torch.float32) -> Tensor:
    noise, sigmas = seeded(rows), karras(sampler.steps, low=0.02, high=20.0)
    start = noise((len(rows), 1, 2, 4, 5)).to(dtype) * float(sigmas[0])
    return sampler.sample(denoise, start, sigmas.tolist(), noise)


@pytest.mark.parametrize("name", MEMBERS)
def test_keeps_shape_and_type_and_lands_on_the_data(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        sample = draw(SAMPLERS[name](steps=STEPS), dtype=dtype)
        assert sample.shape == (3, 1, 2, 4, 5)
        assert sample.dtype == dtype
        assert (sample.abs() - 1).abs().max() < 1e-3  # the last step, to 0, is D, and so on a mode


@pytest.mark.parametrize("name", MEMBERS)
def test_is_a_function_of_its_noise(name: str) -> None:
    sampler = SAMPLERS[name](steps=STEPS)
    torch.manual_seed(1)
    first = draw(sampler)
    torch.manual_seed(2)
    assert torch.equal(first, draw(sampler))


@pytest.mark.parametrize("name", MEMBERS)
def test_rows_do_not_know_each_other(name: str) -> None:
    sampler = SAMPLERS[name](steps=STEPS)
    together = draw(sampler, (0, 1, 2))
    assert torch.equal(together[1:2], draw(sampler, (1,)))
    assert torch.equal(together[[2, 0]], draw(sampler, (2, 0)))


@pytest.mark.parametrize("steps", [1, 2, STEPS])
@pytest.mark.parametrize("name", MEMBERS)
def test_calls_and_draws_as_declared(name: str, steps: int) -> None:
    asked: list[float] = []
    drawn: list[Sequence[int]] = []

    def watched(x: Tensor, sigma: float) -> Tensor:
        asked.append(sigma)
        return denoise(x, sigma)

    def noise(shape: Sequence[int]) -> Tensor:
        drawn.append(shape)
        return torch.zeros(tuple(shape))

    sampler, sigmas = SAMPLERS[name](steps=steps), karras(steps, low=0.02, high=20.0)
    sampler.sample(watched, torch.ones(2, 3), sigmas.tolist(), noise)
    assert len(asked) == sampler.calls
    assert min(asked) > 0
    assert sampler.off_grid or set(asked) <= set(sigmas.tolist())
    assert sampler.stochastic or not drawn


@pytest.mark.parametrize("name", MEMBERS)
def test_refuses_no_steps(name: str) -> None:
    with pytest.raises(ConfigError, match=r"sampler\.steps: .* greater than 0, got 0"):
        parse(SAMPLERS[name], {"steps": 0}, at="sampler")


def test_one_sampler_under_three_names() -> None:
    euler, ddim = SAMPLERS["euler"](steps=STEPS), SAMPLERS["ddim"](steps=STEPS)
    torch.testing.assert_close(draw(euler), draw(ddim))
    torch.testing.assert_close(draw(SAMPLERS["ddpm"](steps=STEPS)), draw(SAMPLERS["ddim"](steps=STEPS, eta=1.0)))  # type: ignore[call-arg]
    torch.testing.assert_close(draw(SAMPLERS["heun"](steps=STEPS)), draw(SAMPLERS["heun-churn"](steps=STEPS, churn=0)))  # type: ignore[call-arg]


def test_churn_only_between_its_levels() -> None:
    sampler = SAMPLERS["heun-churn"](steps=STEPS, churn=50.0, s_min=1.0, s_max=10.0)  # type: ignore[call-arg]
    sigmas = karras(STEPS, low=0.02, high=20.0)
    asked: list[float] = []
    sampler.sample(
        lambda x, sigma: asked.append(sigma) or x * 0,
        torch.ones(1, 2),
        sigmas.tolist(),
        lambda shape: torch.zeros(*shape),
    )
    inside = [float(sigma) for sigma in sigmas if 1 <= sigma <= 10]
    expected = [sigma * 2**0.5 for sigma in inside]  # 50 / 6 is more than sqrt(2) - 1, the greatest gamma
    assert inside
    assert [sigma for sigma in asked if sigma not in sigmas.tolist()] == pytest.approx(expected)
