"""Every level of checkpointing gives the plain loss and gradients, in less and less memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from weatherml.errors import ConfigError
from weatherml.nn import unet
from weatherml.nn.blocks import FiLM, NoiseMaps, NormKind, ResidualBlock
from weatherml.nn.padding import Padding
from weatherml.nn.recompute import Checkpointing, set_checkpointing
from weatherml.nn.unet import UNet

LEVELS: tuple[Checkpointing, ...] = get_args(Checkpointing)
Condition = Callable[[int], nn.Module] | None


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "TILE_NUMBERS", 8 * 12 * 12)  # 12 x 12 points at full resolution


def make_network(padding: str = "zeros", *, norm: NormKind = "none", condition: Condition = None) -> UNet:
    edges = Padding.model_validate(padding)
    network = UNet(3, 2, widths=[8, 12, 16], blocks=1, padding=edges, norm=norm, condition=condition).double()
    torch.manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim != 3:  # norms keep theirs
            nn.init.normal_(parameter, std=0.15)
    return network


def results(network: UNet, level: Checkpointing, x: Tensor, condition: Tensor | None = None) -> list[Tensor]:
    """The output, and the gradients of inputs and parameters."""
    set_checkpointing(network, level)
    leaves = [x, *([] if condition is None else [condition]), *network.parameters()]
    for leaf in leaves:
        leaf.grad = None
    out = network(x, condition)
    out.square().mean().backward()
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("grid", [(45, 62), (24, 32), (8, 12), (3, 1)])
@pytest.mark.parametrize("condition", [None, partial(FiLM, vector=3), partial(NoiseMaps, maps=3)])
def test_gradients_are_the_plain_ones(padding: str, grid: tuple[int, int], condition: Condition) -> None:
    network = make_network(padding, condition=condition)
    x = torch.randn(2, 3, *grid, dtype=torch.float64, requires_grad=True)
    given = None
    if isinstance(condition, partial):
        size = (1, 1) if condition.func is FiLM else grid
        given = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    plain = results(network, "none", x, given)
    for level in LEVELS[1:]:
        again = results(network, level, x, given)
        assert len(again) == len(plain)
        for mine, its in zip(again, plain, strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-14)


def test_tiles_under_autocast_and_with_a_norm_of_points() -> None:
    network = make_network(norm="point").float()
    x = torch.randn(1, 3, 24, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = results(network, "none", x)
        tiled = results(network, "tiles", x)
    assert plain[0].dtype == tiled[0].dtype == torch.bfloat16
    for mine, its in zip(tiled, plain, strict=True):
        assert torch.linalg.vector_norm(mine - its) <= 0.02 * torch.linalg.vector_norm(its)  # bf16: 2^-8 a number


def test_dropout_in_tiles_is_replayed_in_the_backward_pass() -> None:
    network = UNet(1, 1, widths=[8, 8], blocks=1, padding=Padding(), norm="none", dropout=0.5).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    set_checkpointing(network, "tiles")
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        total: Tensor = network(x).square().sum()
        return total

    value = loss(x)
    following = torch.get_rng_state()
    value.backward()
    assert torch.equal(torch.get_rng_state(), following)  # the backward pass draws nothing of its own
    assert x.grad is not None
    direction, step = torch.randn_like(x), 1e-6
    with torch.no_grad():
        slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    assert slope.item() == pytest.approx((x.grad * direction).sum().item(), rel=1e-5)


def test_hooks_on_parameters_see_one_gradient_each() -> None:
    network = make_network()
    set_checkpointing(network, "tiles")
    seen: list[str] = []
    for name, parameter in network.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: seen.append(name))
    network(torch.randn(1, 3, 30, 30, dtype=torch.float64)).sum().backward()
    assert sorted(seen) == sorted(name for name, _ in network.named_parameters())


def test_frozen_parameters_and_inference_in_tiles() -> None:
    network = make_network()
    network.stem.requires_grad_(False)
    x = torch.randn(1, 3, 45, 62, dtype=torch.float64, requires_grad=True)
    plain, tiled = results(network, "none", x), results(network, "tiles", x)
    assert network.stem.weight.grad is None
    for mine, its in zip(tiled, plain, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-14)
    with torch.no_grad():
        torch.testing.assert_close(network(x), plain[0])


def costs(level: Checkpointing) -> tuple[int, int]:
    """Peak bytes and operations of a forward and backward pass on 256 x 256 points, on tensors without data."""
    with FakeTensorMode():
        network = UNet(3, 2, widths=[8, 16, 32], blocks=2, padding=Padding(), norm="point")
        set_checkpointing(network, level)
        x = torch.randn(1, 3, 256, 256)
        with FlopCounterMode(display=False) as counter:
            network(x).sum().backward()
        tracker = MemTracker()
        tracker.track_external(network, x)
        with tracker:
            network(x).sum().backward()
        peak = sum(device["Total"] for device in tracker.get_tracker_snapshot("peak").values())
        return peak, int(counter.get_total_flops())


@pytest.mark.slow  # the tracker of memory takes a minute
def test_each_level_takes_less_memory_and_no_convolution_is_computed_again_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unet, "TILE_NUMBERS", 8 * 64 * 64)
    peaks, work = zip(*(costs(level) for level in LEVELS), strict=True)
    assert all(after < 0.85 * before for before, after in pairwise(peaks))
    assert peaks[-1] < peaks[0] / 5
    plain, activations, blocks, _ = work
    assert activations == plain
    assert plain < blocks < 1.2 * plain  # one of a block's two convolutions: 1/2 of 1/3


@pytest.mark.parametrize(
    "network",
    [
        UNet(1, 1, widths=[4, 4], blocks=1, padding=Padding()),
        UNet(1, 1, widths=[4, 4], blocks=1, padding=Padding(), norm="point", attention=[0]),
        ResidualBlock(4, padding=Padding(), norm="none"),
    ],
)
def test_tiles_are_refused_where_they_would_differ(network: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"train.checkpointing: .*; take blocks"):
        set_checkpointing(network, "tiles")


def test_attention_at_the_coarsest_level_sees_the_whole_domain() -> None:
    edges = Padding()
    network = UNet(3, 2, widths=[8, 8], blocks=1, padding=edges, norm="none", attention=[1]).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    x = torch.randn(1, 3, 40, 36, dtype=torch.float64, requires_grad=True)
    plain, tiled = results(network, "none", x), results(network, "tiles", x)
    for mine, its in zip(tiled, plain, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-14)
