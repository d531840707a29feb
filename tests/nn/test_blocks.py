from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from weatherml.nn.attention import SelfAttention
from weatherml.nn.blocks import (
    Conv,
    Down,
    FiLM,
    NoiseMaps,
    Norm,
    NormKind,
    PointNorm,
    ResidualBlock,
    Stage,
    Up,
)
from weatherml.nn.padding import Padding
from weatherml.nn.recompute import Checkpointing, set_checkpointing

MODES = ["zeros", "reflect", "circular"]


def test_conv_pads_each_axis_by_its_own_mode() -> None:
    conv = Conv(1, 1, padding=Padding(y="zeros", x="circular"))
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    x = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]).view(1, 1, 2, 3)
    # every window of 3 columns holds all three of the circle; rows beyond the edges are 0: 6 + 60 = 66
    assert torch.equal(conv(x), torch.full((1, 1, 2, 3), 66.0))


@pytest.mark.parametrize("mode", MODES)
def test_conv_agrees_with_torchs_own_padding(mode: str) -> None:
    ours = Conv(3, 5, padding=Padding.model_validate(mode))
    torchs = nn.Conv2d(3, 5, 3, padding=1, padding_mode=mode)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 7)
    torch.testing.assert_close(ours(x), torchs(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("channels", "groups"), [(40, 8), (24, 8), (12, 4), (17, 1)])
def test_norm_takes_groups_that_divide(channels: int, groups: int) -> None:
    assert Norm(channels).num_groups == groups


def test_point_norm_by_hand() -> None:
    x = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    # root of the mean square: sqrt((9 + 16) / 2) = 3.536; 3 / 3.536 = 0.849, 4 / 3.536 = 1.131
    torch.testing.assert_close(PointNorm(2)(x).flatten(), torch.tensor([0.849, 1.131]), rtol=1e-3, atol=0)


def test_point_norm_pools_over_no_neighbour() -> None:
    x = torch.randn(2, 16, 4, 5)
    torch.testing.assert_close(PointNorm(16)(x)[..., 1:3, 2:4], PointNorm(16)(x[..., 1:3, 2:4]))
    assert PointNorm(16)(torch.zeros(1, 16, 2, 2)).abs().max() == 0


@pytest.mark.parametrize("norm", [Norm, PointNorm])
def test_norms_bring_any_scale_to_one(norm: type[nn.Module]) -> None:
    x = torch.randn(2, 64, 16, 16)
    for scale in (0.1, 1.0, 1e4):
        assert norm(64)(scale * x).std().item() == pytest.approx(1, abs=0.03)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = norm(64)(x.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), norm(64)(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("norm", ["group", "point"])
@pytest.mark.parametrize(("kind", "grid"), [(partial(FiLM, vector=3), (1, 1)), (partial(NoiseMaps, maps=3), (5, 6))])
def test_a_condition_acts_on_the_second_norm(kind: Any, grid: tuple[int, int], norm: NormKind) -> None:
    block: Any = ResidualBlock(8, padding=Padding(), norm=norm, condition=kind)
    x, condition = torch.randn(2, 8, 5, 6), torch.randn(2, 3, *grid)
    nn.init.normal_(block.outward[-1].weight)
    plain = x + block.outward(block.norm(block.inward(x)))
    assert torch.equal(block(x, condition), plain)  # its layer begins as zero
    for parameter in block.condition.parameters():
        nn.init.normal_(parameter)
    expected = x + block.outward(block.condition(block.norm(block.inward(x)), condition))
    torch.testing.assert_close(block(x, condition), expected)
    assert not torch.allclose(block(x, condition), plain)


def test_film_scales_and_shifts() -> None:
    film = FiLM(2, vector=1)
    film.affine.bias.data = torch.tensor([1.0, -0.5, 10.0, 20.0])  # scales of two channels, then their shifts
    x = torch.ones(1, 2, 3, 3) * torch.tensor([3.0, 4.0]).view(2, 1, 1)
    out = film(x, torch.zeros(1, 1, 1, 1))
    assert out[0, :, 0, 0].tolist() == [3 * (1 + 1) + 10, 4 * (1 - 0.5) + 20]


def test_maps_of_noise_are_mixed_and_added() -> None:
    maps = NoiseMaps(1, maps=2)
    maps.mix.weight.data = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)
    x, noise = torch.randn(1, 1, 3, 3), torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(maps(x, noise), x + 2 * noise[:, :1] - noise[:, 1:])


def test_a_stage_gives_every_block_the_same_condition() -> None:
    blocks = [ResidualBlock(8, padding=Padding(), condition=partial(FiLM, vector=3)), SelfAttention(8)]
    x, condition = torch.randn(2, 8, 5, 6), torch.randn(2, 3, 1, 1)
    for block in blocks:
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.3)
    torch.testing.assert_close(Stage(*blocks)(x, condition), blocks[1](blocks[0](x, condition)))


@pytest.mark.parametrize("block", [ResidualBlock(8, padding=Padding()), SelfAttention(64, norm="point")])
def test_residual_blocks_begin_as_the_identity(block: nn.Module) -> None:
    x = torch.randn(2, 64 if isinstance(block, SelfAttention) else 8, 5, 6)
    assert torch.equal(block(x), x)


def test_attention_agrees_with_its_formula() -> None:
    attention = SelfAttention(64)
    nn.init.normal_(attention.out.weight, std=0.1)
    x = torch.randn(2, 64, 3, 4)
    qkv = attention.qkv(attention.norm(x)).flatten(2)
    heads = []
    for head in range(2):  # 64 channels are two heads of 32
        q, k, v = (qkv[:, part * 64 + head * 32 : part * 64 + (head + 1) * 32] for part in range(3))
        scores = torch.einsum("bcq,bck->bqk", q, k) / 32**0.5
        heads.append(torch.einsum("bqk,bck->bcq", scores.softmax(-1), v))
    expected = x + attention.out(torch.cat(heads, 1).view(2, 64, 3, 4))
    torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_resampling_doubles_and_halves(mode: str) -> None:
    padding = Padding.model_validate(mode)
    x = torch.randn(2, 6, 4, 5)
    assert Up(6, 3, padding=padding)(x).shape == (2, 3, 8, 10)
    assert Down(3, 6, padding=padding)(torch.randn(2, 3, 8, 10)).shape == (2, 6, 4, 5)


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_no_checkerboard_from_a_constant(mode: str) -> None:
    padding = Padding.model_validate(mode)
    path = nn.Sequential(Down(4, 8, padding=padding), Up(8, 4, padding=padding), Conv(4, 4, padding=padding))
    out = path(torch.full((1, 4, 8, 12), 1.7))
    assert out.std(dim=(-2, -1)).max() < 1e-6
    assert out.abs().max() > 1e-3


def test_no_checkerboard_from_zero_padding_but_at_the_edge() -> None:
    up = nn.Sequential(Up(4, 4, padding=Padding()), Conv(4, 4, padding=Padding()))
    interior = up(torch.full((1, 4, 8, 12), 1.7))[..., 1:-1, 1:-1]
    assert interior.std(dim=(-2, -1)).max() < 1e-6


def test_up_interpolates_across_a_circular_edge() -> None:
    up = Up(1, 1, padding=Padding(x="circular"))
    nn.init.ones_(up.conv.weight)
    nn.init.zeros_(up.conv.bias)
    out = up(torch.tensor([0.0, 4.0]).view(1, 1, 1, 2))
    # 3/4 of the point itself and 1/4 of its neighbour, which on a circle of two is always the other
    assert torch.equal(out[0, 0, 0], torch.tensor([1.0, 1.0, 3.0, 3.0]))


def test_checkpointing_changes_memory_and_nothing_else() -> None:
    network = nn.Sequential(Conv(3, 8, padding=Padding()), ResidualBlock(8, padding=Padding(), dropout=0.3))
    nn.init.normal_(network[1].outward[-1].weight)
    x = torch.randn(2, 3, 6, 6)

    def gradients(level: Checkpointing) -> tuple[list[torch.Tensor], int]:
        kept: list[int] = []
        network.zero_grad()
        set_checkpointing(network, level)
        torch.manual_seed(3)  # the dropout of the second computation is that of the first
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            loss = network(x).square().sum()
        loss.backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None], sum(kept)

    (kept_all, most), (kept_inputs, least) = gradients("none"), gradients("blocks")
    assert all(torch.equal(a, b) for a, b in zip(kept_all, kept_inputs, strict=True))
    assert least < most / 2
