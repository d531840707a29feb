from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from weatherml.nn.advection import carry
from weatherml.nn.padding import Padding

AROUND = Padding(y="circular", x="circular")


def uniform(y: float, x: float, fields: torch.Tensor) -> torch.Tensor:
    return torch.tensor([y, x]).view(1, 2, 1, 1).expand(len(fields), 2, *fields.shape[-2:])


@pytest.mark.parametrize(("y", "x"), [(0, 0), (1, 0), (0, -3), (-9, 14)])
def test_whole_cells_on_a_torus_are_a_roll(y: int, x: int) -> None:
    fields = torch.randn(3, 7, 10)
    expected = fields.roll((y, x), dims=(-2, -1))
    torch.testing.assert_close(carry(fields, uniform(y, x, fields), AROUND), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("padding", "beyond"), [(AROUND, "grid-wrap"), (Padding(), "mirror")])
def test_between_cells_is_scipys_cubic_spline(padding: Padding, beyond: str) -> None:
    fields, flow = torch.randn(3, 9, 14), 3 * torch.randn(3, 2, 9, 14)
    upstream = np.indices((9, 14)) - flow.double().numpy()
    if beyond == "mirror":
        upstream = np.clip(upstream, 0, np.array([8, 13])[:, None, None])
    each = zip(fields.double().numpy(), upstream, strict=True)
    expected = np.stack([map_coordinates(field, places, order=3, mode=beyond) for field, places in each])
    torch.testing.assert_close(carry(fields, flow, padding), torch.from_numpy(expected).float(), atol=1e-4, rtol=0)


def test_autocast_changes_nothing() -> None:
    fields, flow = torch.randn(2, 8, 8), torch.randn(2, 2, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        carried = carry(fields, flow, AROUND)
    torch.testing.assert_close(carried, carry(fields, flow, AROUND), atol=0, rtol=0)


def test_a_wave_of_five_cells_is_hardly_damped() -> None:
    """Linear interpolation would leave cos(pi / 5) = 0.81 of it."""
    wave = torch.sin(2 * math.pi * torch.arange(20) / 5).expand(1, 5, 20)
    carried = carry(wave, uniform(0, 0.5, wave), AROUND)
    assert 0.98 < carried.norm() / wave.norm() < 1.02


def test_what_stands_at_a_bounded_edge_comes_in_from_beyond() -> None:
    fields = torch.arange(12.0).view(1, 3, 4)
    carried = carry(fields, uniform(2, 0, fields), Padding(y="zeros", x="circular"))
    torch.testing.assert_close(carried, fields[:, :1].expand(1, 3, 4), atol=1e-5, rtol=0)


def test_every_field_has_its_own_flow_and_gradient() -> None:
    fields = torch.randn(2, 6, 6)
    flow = torch.zeros(2, 2, 6, 6)
    flow[1, 1] = 1
    flow.requires_grad_()
    carried = carry(fields, flow, AROUND)
    torch.testing.assert_close(carried[0], fields[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(carried[1], fields[1].roll(1, dims=-1), atol=1e-5, rtol=0)
    carried.sum().backward()
    assert flow.grad is not None
    assert flow.grad.abs().sum() > 0
