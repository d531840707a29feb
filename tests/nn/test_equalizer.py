"""A gain for each band of wavenumbers."""

from __future__ import annotations

import math

import pytest
import torch

from weatherml.nn.equalizer import Equalizer
from weatherml.nn.padding import Padding

PADDINGS = ["circular", "zeros", "reflect", {"y": "reflect", "x": "circular"}]


def build(padding: object = "circular", *, untied: tuple[float, ...] = (1.0, 1.0), size: int = 32) -> Equalizer:
    return Equalizer(torch.tensor(untied).view(-1, 1, 1), size=size, padding=Padding.model_validate(padding))


def fields(height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.randn(3, 2, height, width, generator=torch.Generator().manual_seed(0))


def wave(cycles: float, phase: float = 0.3) -> torch.Tensor:
    """(1, 1, 32, 32), so many cycles along x."""
    return torch.cos(2 * math.pi * cycles * torch.arange(32) / 32 + phase).expand(1, 1, 32, 32)


@pytest.mark.parametrize("padding", PADDINGS)
def test_gains_of_one_change_no_bit(padding: object) -> None:
    x = fields()
    assert torch.equal(build(padding)(x), x)


@pytest.mark.parametrize("padding", PADDINGS)
def test_one_gain_for_all_multiplies(padding: object) -> None:
    equalizer, x = build(padding), fields()
    equalizer.gains[:, 1] = 1.5
    out = equalizer(x)
    assert torch.equal(out[:, 0], x[:, 0])
    torch.testing.assert_close(out[:, 1], 1.5 * x[:, 1])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(24, 32), (7, 5), (1, 6), (1, 1)])
def test_the_bands_share_all_of_the_variance(padding: object, size: tuple[int, int]) -> None:
    x = fields(*size)
    power = build(padding).power(x)
    assert power.shape == (3, len(build().gains), 2)
    torch.testing.assert_close(power.sum(1), x.square().sum((-2, -1)))


def test_bands_are_half_octaves_down_to_two_points() -> None:
    equalizer = build()  # 32 points: 1, 1.4, 2, ... 16 cycles
    assert len(equalizer.gains) == 9
    for band, cycles in ((0, 1), (2, 2), (4, 4), (6, 8), (8, 16)):
        power = equalizer.power(wave(cycles).expand(1, 2, 32, 32))[0, :, 0]
        assert float(power[band] / power.sum()) == pytest.approx(1, abs=1e-5)
    between = equalizer.power(wave(3).expand(1, 2, 32, 32))[0, :, 0]
    part = 2 * math.log2(3) - 3
    assert float(between[4] / between.sum()) == pytest.approx(part, abs=1e-5)
    assert float(between[3] / between.sum()) == pytest.approx(1 - part, abs=1e-5)


def test_a_wave_has_the_gain_of_its_number_and_keeps_its_place() -> None:
    equalizer = build(untied=(1.0,))
    equalizer.gains[:, 0] = torch.linspace(0.5, 1.5, 9)
    for cycles in (1, 2, 3, 5, 11, 16):
        gain = 0.5 + 2 * math.log2(cycles) / 8
        torch.testing.assert_close(equalizer(wave(cycles)), gain * wave(cycles), rtol=0, atol=1e-5)
    torch.testing.assert_close(equalizer(torch.ones(1, 1, 32, 32)), 0.5 * torch.ones(1, 1, 32, 32))


def test_edges_that_do_not_meet_do_not_touch() -> None:
    step = torch.zeros(1, 1, 32, 32)
    step[..., :4] = 1.0
    far: dict[str, float] = {}
    for padding in ("circular", "reflect"):
        equalizer = build(padding, untied=(1.0,))
        equalizer.gains[4:] = 0.5
        far[padding] = float(equalizer(step)[..., -1].abs().mean())
    assert far["reflect"] < 0.2 * far["circular"]


def test_bfloat16_around_it_costs_nothing() -> None:
    equalizer, x = build(), fields()
    equalizer.gains[3:] = 0.7
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = equalizer(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, equalizer(x))
