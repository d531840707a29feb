"""What a denoising network is told of the noisy field is of unit size at every level, and tells noise from it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from weatherml.fields import Shape
from weatherml.models.noisy_views import FINEST, LevelFilters, NoisyViews, fine_detail, wide_means
from weatherml.nn.padding import Padding

ROUND = Padding(y="circular", x="circular")
SHAPE = Shape(channels=2, lead=2, height=16, width=16, delta_std=(1.0, 1.0))


def noise_at(sigma: float, size: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Levels (B, 1, 1, 1), and noise of that standard deviation."""
    level = torch.full((size[0], 1, 1, 1), sigma)
    return level, level * torch.randn(size, generator=torch.Generator().manual_seed(seed))


def wave(size: int) -> Tensor:
    """(1, 1, size, size) of unit variance and one wavelength."""
    return math.sqrt(2) * (2 * math.pi * torch.arange(size) / size).sin().expand(1, 1, size, size)


@pytest.mark.parametrize("sigma", [1.0, 20.0, 240.0])
def test_wide_means_of_noise_are_as_large_as_noise_and_a_large_wave_is_heard(sigma: float) -> None:
    """At 20 the mean of a domain of 64 x 64, 0.5, is 0.025 of a point's noise and 1.6 of its mean's."""
    level, noise = noise_at(sigma, (400, 1, 64, 64))
    for side, means in zip((4, 16, 64), wide_means(noise, level, (4, 16, 64)), strict=True):
        least = (sigma / side) / math.hypot(0.5, sigma / side)
        assert means.shape == noise.shape
        assert means.std().item() == pytest.approx(least, rel=0.1)
    heard = wide_means(noise + 0.5, level, (64,))[0].mean() - means.mean()
    assert heard.item() == pytest.approx(0.5 / math.hypot(0.5, sigma / 64), rel=1e-3)


@pytest.mark.parametrize("sigma", [0.3, 3.0, 100.0])
def test_the_detail_of_noise_is_as_large_as_noise(sigma: float) -> None:
    level, noise = noise_at(sigma, (20, 2, 32, 32))
    kept = math.sqrt(8 / 9) * sigma
    assert fine_detail(noise, level, ROUND).std().item() == pytest.approx(kept / math.hypot(0.1, kept), rel=0.03)


def test_noise_is_heard_in_the_detail_of_a_smooth_field() -> None:
    """A hundredth of the field, which in the field itself is what bfloat16 rounds off."""
    level, noise = noise_at(0.01, (1, 1, 64, 64))
    without, with_noise = (fine_detail(field, level, ROUND) for field in (wave(64), wave(64) + noise))
    assert without.abs().max() < 0.05
    assert with_noise.std() > 2 * without.std()
    assert fine_detail(1e4 * noise, level, ROUND).abs().max() == FINEST


def test_a_constant_has_no_detail_within_or_at_the_edges() -> None:
    level = torch.ones(1, 1, 1, 1)
    for padding in (ROUND, Padding(), Padding(y="reflect", x="circular")):
        assert fine_detail(torch.full((1, 2, 6, 7), 3.0), level, padding).abs().max() < 1e-6


@pytest.mark.parametrize(("fine", "wide"), [(False, ()), (True, ()), (False, (4, 8)), (True, (4,))])
def test_views_are_as_many_as_they_say(fine: bool, wide: tuple[int, ...]) -> None:
    views = NoisyViews(SHAPE, fine=fine, wide=wide, vector=8, padding=ROUND)
    level, noise = noise_at(2.0, (3, 4, 16, 16))
    found = views(noise, level)
    assert torch.cat(found, dim=1).shape == (3, views.channels, 16, 16)
    torch.testing.assert_close(found[0], noise / math.sqrt(5))
    added = views.filtered(found, torch.randn(3, 8, 1, 1))
    assert torch.equal(torch.as_tensor(added), torch.zeros_like(noise) if fine else torch.tensor(0.0))


def test_of_variables_with_ties_there_is_neither_detail_nor_filter() -> None:
    tied = replace(SHAPE, tied=(False, True))
    views = NoisyViews(tied, fine=True, wide=(), vector=8, padding=ROUND)
    assert views.filters is not None
    torch.nn.init.normal_(views.filters.mix.weight)
    level, noise = noise_at(2.0, (3, 4, 16, 16))  # of two leads
    found = views(noise, level)
    for each in (found[1], torch.as_tensor(views.filtered(found, torch.randn(3, 8, 1, 1)))):
        assert each[:, 1::2].eq(0).all()
        assert each[:, 0::2].ne(0).any()


def test_filters_are_linear_at_each_level_and_differ_between_levels() -> None:
    torch.manual_seed(0)
    filters, level = LevelFilters(2, vector=8, padding=ROUND), torch.randn(1, 8, 1, 1)
    for parameter in filters.parameters():
        torch.nn.init.normal_(parameter) if parameter.ndim > 1 else torch.nn.init.zeros_(parameter)
    a, b = torch.randn(2, 1, 4, 16, 16)
    torch.testing.assert_close(
        filters(a + 2 * b, level), filters(a, level) + 2 * filters(b, level), rtol=1e-3, atol=1e-2
    )
    assert not torch.allclose(filters(a, level), filters(a, -level))


def test_filters_learn_from_few_cases_to_take_noise_from_a_smooth_field() -> None:
    torch.manual_seed(0)
    filters, vector = LevelFilters(1, vector=4, padding=ROUND), torch.ones(1, 4, 1, 1)
    optimizer = torch.optim.Adam(filters.parameters(), lr=0.01)

    def left(seed: int) -> Tensor:
        """The mean square of noise that is not found, over that of the noise."""
        level, noise = noise_at(0.05, (1, 1, 32, 32), seed)
        noisy = wave(32) + noise
        found = filters(torch.cat([noisy, fine_detail(noisy, level, ROUND)], dim=1), vector)
        return (found - noise / 0.05).square().mean()

    for seed in range(100):
        optimizer.zero_grad()
        left(seed).backward()
        optimizer.step()
    with torch.no_grad():
        assert left(1000) < 0.1
