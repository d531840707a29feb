"""The CRPS of a few members: against the reference library, by hand, and least at the right spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scores.probability import crps_for_ensemble
from torch import Tensor

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule, Weights

GRID = (4, 6)


def make_loss(
    fair: float = 1.0,
    spectral: float = 0.0,
    members: int = 2,
    grid: tuple[int, int] = GRID,
    blocks: tuple[int, ...] = (),
) -> LossModule:
    weights = Weights(scale=torch.ones(2), variable=torch.ones(2), rows=torch.ones(grid[0]))
    settings = {"fair": fair, "spectral": spectral, "members": members, "blocks": blocks}
    return parse(LOSSES["crps"], settings).build(weights)


def make_fields(M: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Members (B, M, ...), truth and mask of three cases, two leads, two variables."""
    draw = torch.Generator().manual_seed(seed)
    members = torch.randn(3, M, 2, 2, *GRID, generator=draw, dtype=torch.float64)
    truth = torch.randn(3, 2, 2, *GRID, generator=draw, dtype=torch.float64)
    return members, truth, torch.rand(truth.shape, generator=draw) > 0.3


def rows(members: Tensor) -> Tensor:
    """As a model gives them: M rows for each case, side by side."""
    return members.flatten(0, 1)


@pytest.mark.parametrize("M", [2, 3, 4])
@pytest.mark.parametrize(("fair", "method"), [(1.0, "fair"), (0.0, "ecdf")])
def test_the_score_of_the_reference_library(M: int, fair: float, method: str) -> None:
    members, truth, mask = make_fields(M)
    points = crps_for_ensemble(
        xr.DataArray(members.numpy(), dims=["case", "member", "lead", "variable", "y", "x"]),
        xr.DataArray(truth.numpy(), dims=["case", "lead", "variable", "y", "x"]),
        "member",
        method=method,  # type: ignore[arg-type]
        preserve_dims="all",
    )
    expected = points.transpose("case", "lead", "variable", "y", "x").values[mask.numpy()].mean()
    assert make_loss(fair, members=M)(rows(members), truth, mask).item() == pytest.approx(expected, rel=1e-6)


def test_almost_fair_lies_between() -> None:
    members, truth, mask = make_fields(3)
    fair, usual, almost = (make_loss(alpha)(rows(members), truth, mask) for alpha in (1.0, 0.0, 0.9))
    torch.testing.assert_close(almost, 0.9 * fair + 0.1 * usual)
    assert usual > almost > fair


@pytest.mark.parametrize("spectral", [0.0, 0.5])
def test_one_member_is_the_mean_absolute_error(spectral: float) -> None:
    members, truth, mask = make_fields(1)
    weights = Weights(scale=torch.tensor([0.5, 2.0]), variable=torch.tensor([1.5, 0.5]), rows=torch.rand(GRID[0]))
    loss = parse(LOSSES["crps"], {"spectral": spectral, "members": 1}).build(weights)
    absolute = LOSSES["l1"]().build(weights)(members[:, 0], truth, mask)
    if not spectral:
        torch.testing.assert_close(loss(rows(members), truth, mask), absolute)
    else:
        assert loss(rows(members), truth, mask) > absolute


def test_by_hand() -> None:
    members = torch.tensor([1.0, 5.0]).view(1, 2, 1, 1, 1, 1).expand(1, 2, 1, 2, *GRID)
    truth = torch.full((1, 1, 2, *GRID), 2.0)
    mask = torch.ones_like(truth, dtype=torch.bool)
    # mean |x - y| = (1 + 3) / 2 = 2; |x - x'| = 4: fair 2 - 4 / 2 = 0, usual 2 - 4 / 4 = 1, alpha = 0.75: 0.25
    for fair, expected in [(1.0, 0.0), (0.0, 1.0), (0.75, 0.25)]:
        assert make_loss(fair)(rows(members), truth, mask).item() == pytest.approx(expected, abs=1e-6)


def test_spectral_by_hand() -> None:
    point = torch.zeros(1, 1, 1, 2, 2)
    point[..., 0, 0] = 4.0
    weights = Weights(scale=torch.ones(1), variable=torch.ones(1), rows=torch.ones(2))
    mask = torch.ones_like(point, dtype=torch.bool)
    loss = parse(LOSSES["crps"], {"fair": 1.0, "spectral": 0.5}).build(weights)
    # members 4 at one point and 0, truth 0. In space: that point 4 / 2 - 4 / 2 = 0, the fair score of a draw
    assert loss(torch.cat([point, 0 * point]), 0 * point, mask).item() == pytest.approx(0, abs=1e-6)
    # two members alike: no spread. In space |4| / 4 points = 1; orthonormal waves 2, 2, 2, 2 with imaginary parts 0:
    # their mean over real and imaginary parts is 1, and half of that is added
    assert loss(torch.cat([point, point]), 0 * point, mask).item() == pytest.approx(1 + 0.5 * 1)


def test_blocks_by_hand() -> None:
    members = torch.zeros(1, 2, 1, 2, *GRID, dtype=torch.float64)
    members[:, 0, ..., :2, :2] = 4.0  # one block of 2 x 2 among the six
    members[:, 1, ..., 0, 0] = 4.0
    truth = torch.zeros(1, 1, 2, *GRID, dtype=torch.float64)
    mask = torch.ones_like(truth, dtype=torch.bool)
    points = make_loss()(rows(members), truth, mask)
    # that block's means are 4 and 1, truth 0: (4 + 1) / 2 - |4 - 1| / 2 = 1, of six blocks, divided by the width 2
    both = make_loss(blocks=(2, 8))(rows(members), truth, mask)  # the grid is too small for 8
    assert (both - points).item() == pytest.approx(1 / 6 / 2)
    mask[..., 0, 1] = mask[..., 1, :2] = False  # the block is one known point, 4 in both members: 4 of weight 1 in 21
    again = make_loss(blocks=(2,))(rows(members), truth, mask) - make_loss()(rows(members), truth, mask)
    assert again.item() == pytest.approx(4 / 21 / 2)


def test_members_belong_to_the_rows_beside_them() -> None:
    members, truth, mask = make_fields(2)
    loss = make_loss()
    together = loss(rows(members), truth, mask)
    counts = mask.flatten(1).sum(1)
    apart = [loss(members[case], truth[case : case + 1], mask[case : case + 1]) for case in range(3)]
    torch.testing.assert_close(together, (torch.stack(apart) * counts).sum() / counts.sum())


@pytest.mark.parametrize(("spectral", "blocks"), [(0.0, ()), (0.5, ()), (0.0, (2, 3))])
@pytest.mark.parametrize("value", [99.0, math.nan])
def test_what_is_masked_changes_nothing(spectral: float, blocks: tuple[int, ...], value: float) -> None:
    members, truth, mask = make_fields(3)
    loss = make_loss(0.95, spectral, blocks=blocks)
    honest = members.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(expected := loss(rows(honest), truth, mask), honest)
    wild = torch.where(mask[:, None], members, value).requires_grad_()
    (other,) = torch.autograd.grad(got := loss(rows(wild), torch.where(mask, truth, -value), mask), wild)
    assert torch.equal(got, expected)
    assert torch.equal(other, gradient)


@pytest.mark.parametrize("M", [2, 4])
@pytest.mark.parametrize("spectral", [0.0, 1.0])
def test_least_at_the_truths_own_spread(M: int, spectral: float) -> None:
    """Members N(0, s^2) of a truth N(0, 1): the fair score is least in expectation at s = 1, whatever M."""
    grid = (64, 64)
    draw = torch.Generator().manual_seed(0)
    truth, members = torch.randn(8, 1, 2, *grid, generator=draw), torch.randn(8 * M, 1, 2, *grid, generator=draw)
    loss, mask = make_loss(1.0, spectral, grid=grid), torch.ones_like(truth, dtype=torch.bool)
    spreads = np.array([0.6, 0.8, 1.0, 1.2, 1.4])
    scores = [loss(float(s) * members, truth, mask).item() for s in spreads]
    second, first, _ = np.polyfit(spreads, scores, 2)
    assert -first / (2 * second) == pytest.approx(1, abs=0.05)
    if not spectral:  # E = (1 - 1/2) E|x - x'| = 1 / sqrt(pi) = 0.564
        assert scores[2] == pytest.approx(1 / math.sqrt(math.pi), rel=0.01)


def test_float32_under_autocast_with_the_spectral_term() -> None:
    members, truth, mask = make_fields(2)
    members, truth = members.bfloat16(), truth.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = make_loss(spectral=0.5)(rows(members), truth, mask)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, make_loss(spectral=0.5)(rows(members).float(), truth, mask))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"members": 0}, r"loss\.members: .*greater than or equal to 1"), ({"fair": 1.1}, r"loss\.fair: .*less than")],
)
def test_bad_parameters_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(LOSSES["crps"], settings, at="loss")


def test_no_term_of_the_weather_loss() -> None:
    with pytest.raises(ConfigError, match="no term 'crps'"):
        parse(LOSSES["weather"], {"weights": {"crps": 1.0}}, at="loss")
