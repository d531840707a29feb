from __future__ import annotations

import pytest
import torch

from weatherml.fields import Batch
from weatherml.nn.inputs import stack_inputs
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


def test_inputs_stack_in_the_order_of_the_shape() -> None:
    batch = Batch(
        history=torch.arange(8.0).view(2, 2, 2, 1, 1),
        forcing=torch.tensor([100.0, 101.0]).view(2, 1, 1, 1, 1),
        static=torch.tensor([200.0]).view(1, 1, 1),
        valid_time=torch.zeros(2, 1, dtype=torch.int64),
    )
    stacked = stack_inputs(batch)[..., 0, 0]
    assert stacked.tolist() == [[0, 1, 2, 3, 100, 200], [4, 5, 6, 7, 101, 200]]
