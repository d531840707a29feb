"""The levels that samplers go down."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import EDMEulerScheduler

from weatherml.diffusion.spacing import karras, tangent


@pytest.mark.parametrize("steps", [2, 18, 50])
@pytest.mark.parametrize("rho", [5.0, 7.0])
def test_karras_equals_diffusers(steps: int, rho: float) -> None:
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=rho, sigma_schedule="karras")
    theirs.set_timesteps(steps)
    torch.testing.assert_close(karras(steps, rho=rho), theirs.sigmas.double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("spacing", [karras, tangent])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_from_high_to_low_to_zero(spacing: object, steps: int) -> None:
    levels = spacing(steps, low=0.03, high=40.0)  # type: ignore[operator]
    assert levels.shape == (steps + 1,)
    assert levels.dtype == torch.float64
    assert float(levels[0]) == pytest.approx(40.0)
    assert levels[-1] == 0
    assert (levels.diff() < 0).all()
    if steps > 1:
        assert float(levels[-2]) == pytest.approx(0.03)


def test_tangent_is_at_equal_angles() -> None:
    # power 1, middle 2: from 2 tan(60 deg) to 2 tan(30 deg), and half-way 2 tan(45 deg) = 2
    levels = tangent(3, low=2 / math.sqrt(3), high=2 * math.sqrt(3), middle=2.0, power=1.0)
    assert levels.tolist() == pytest.approx([2 * math.sqrt(3), 2.0, 2 / math.sqrt(3), 0.0])
    # power 2: middle tan(45 deg)^2 half-way between equal angles on both sides
    assert float(tangent(3, low=0.1, high=10.0, middle=1.0, power=2.0)[1]) == pytest.approx(1.0)


def test_tangent_is_densest_around_its_middle() -> None:
    levels = tangent(40, middle=0.2)[:-1]
    strides = -levels.log().diff()
    assert float(levels[int(strides.argmin())]) == pytest.approx(0.2, rel=0.2)
