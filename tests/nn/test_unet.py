from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from weatherml.fields import Batch, Shape
from weatherml.nn.blocks import FiLM, NoiseMaps, NormKind
from weatherml.nn.inputs import ScaledInputs, StackedInputs
from weatherml.nn.padding import Padding
from weatherml.nn.unet import UNet


@pytest.mark.parametrize("depth", [0, 1, 4])
@pytest.mark.parametrize("grid", [(5, 7), (1, 1), (16, 16)])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_any_grid_at_any_depth(depth: int, grid: tuple[int, int], mode: str) -> None:
    widths = [4 * 2**level for level in range(depth + 1)]
    network = UNet(3, 2, widths=widths, blocks=1, padding=Padding.model_validate(mode), attention=[depth])
    out = network(torch.randn(2, 3, *grid))
    assert out.shape == (2, 2, *grid)
    assert out.isfinite().all()


def test_parameters_by_hand() -> None:
    network = UNet(3, 2, widths=[4, 8], blocks=1, padding=Padding())
    stem, head = 3 * 4 * 9 + 4, 2 * 4 + 4 * 2 * 9 + 2
    level_0, level_1 = (2 * (2 * w + w * w * 9 + w) for w in (4, 8))  # two norms, two convolutions
    down, up = 4 * 8 * 9 + 8, 8 * 4 + 4
    assert sum(p.numel() for p in network.parameters()) == stem + head + 2 * (level_0 + level_1) + down + up


def test_what_lies_far_reaches_a_point() -> None:
    network = UNet(1, 1, widths=[8, 8, 8, 8], blocks=1, padding=Padding()).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
    network(x)[0, 0, 32, 32].backward()
    assert x.grad is not None
    assert (x.grad[0, 0, 32, 20] != 0) & (x.grad[0, 0, 44, 32] != 0)


@pytest.mark.parametrize("norm", ["group", "point"])
@pytest.mark.parametrize("grid", [(8, 12), (5, 7), (2, 1)])
@pytest.mark.parametrize("kind", [partial(FiLM, vector=3), partial(NoiseMaps, maps=3)])
def test_a_condition_enters_at_every_level(kind: Any, grid: tuple[int, int], norm: NormKind) -> None:
    network = UNet(1, 1, widths=[4, 4, 4], blocks=1, padding=Padding(x="circular"), condition=kind, norm=norm)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 1, *grid)
    condition = torch.randn(2, 3, *((1, 1) if kind.func is FiLM else grid), requires_grad=True)
    out = network(x, condition)
    assert out.shape == x.shape
    out.square().sum().backward()
    assert condition.grad is not None
    assert condition.grad.abs().min() > 0
    acted = [
        parameter for name, parameter in network.named_parameters() if name.endswith(("affine.weight", "mix.weight"))
    ]
    assert len(acted) == 6  # 3 levels, on the way down and up
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in acted)


def test_a_map_of_white_noise_has_variance_one_at_every_level() -> None:
    network = UNet(1, 1, widths=[4, 4, 4], blocks=1, padding=Padding())
    levels = network._conditions(torch.randn(8, 2, 64, 64))
    assert [tuple(level.shape[-2:]) for level in levels if level is not None] == [(64, 64), (32, 32), (16, 16)]
    # 8 x 2 x 16 x 16 = 4096 numbers at the coarsest: the variance is known to sqrt(2 / 4096) = 2 %
    assert [level.var().item() for level in levels if level is not None] == pytest.approx([1, 1, 1], abs=0.07)


def make_batch() -> Batch:
    return Batch(
        history=torch.arange(8.0).view(2, 2, 2, 1, 1),
        forcing=torch.tensor([100.0, 101.0]).view(2, 1, 1, 1, 1),
        static=torch.tensor([200.0]).view(1, 1, 1),
        valid_time=torch.zeros(2, 1, dtype=torch.int64),
    )


SHAPE = Shape(channels=2, history=2, forcing=1, static=1, height=1, width=1, delta_std=(0.5, 0.25))


def test_inputs_stack_in_the_order_of_the_shape() -> None:
    inputs = StackedInputs(SHAPE)(make_batch())[..., 0, 0]
    assert inputs.tolist() == [[0, 1, 2, 3, 100, 200], [4, 5, 6, 7, 101, 200]]


def test_scaled_inputs_by_hand() -> None:
    scaled = ScaledInputs(SHAPE, Padding())
    inputs = scaled(make_batch())[..., 0, 0]
    assert inputs.shape[1] == scaled.channels
    # changes 2 - 0 and 3 - 1 over 0.5 and 0.25, the last state, its detail (none at a single point), the rest
    assert inputs.tolist() == [[4, 8, 2, 3, 0, 0, 100, 200], [4, 8, 6, 7, 0, 0, 101, 200]]


@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_scaled_inputs_tell_a_point_from_its_neighbours(mode: str) -> None:
    shape = Shape(channels=1, height=4, width=5, delta_std=(0.5,))
    state = torch.zeros(1, 1, 1, 4, 5)
    state[..., 0, 0] = 1.0
    nothing = torch.zeros(1, 1, 0, 4, 5)
    batch = Batch(history=state, forcing=nothing, static=nothing[0, 0], valid_time=torch.zeros(1, 1).long())
    detail = ScaledInputs(shape, Padding.model_validate(mode))(batch)[0, 1]
    # (1 - 1/9) / 0.5 at the point: a mirrored edge does not repeat the corner; -1/9 / 0.5 beside it
    assert detail[0, 0].item() == pytest.approx(2 * 8 / 9)
    assert detail[1, 1].item() == pytest.approx(-2 / 9)
    assert detail[0, 4].item() == pytest.approx(-2 / 9 if mode == "circular" else 0)
