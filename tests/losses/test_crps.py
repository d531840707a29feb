"""The CRPS of a few members: against the reference library, by hand, and least at the right spread."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from scores.probability import crps_for_ensemble
from torch import Tensor, nn

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
    scales: float = 0.0,
    variables: int = 2,
) -> LossModule:
    one = torch.ones(variables)
    weights = Weights(scale=one, variable=one, rows=torch.ones(grid[0]))
    settings = {"fair": fair, "spectral": spectral, "members": members, "scales": scales}
    return parse(LOSSES["crps"], settings).build(weights)


def make_fields(M: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Members (B, M, ...), truth and mask of three cases, two leads, two variables."""
    draw = torch.Generator().manual_seed(seed)
    members = torch.randn(3, M, 2, 2, *GRID, generator=draw, dtype=torch.float64)
    truth = torch.randn(3, 2, 2, *GRID, generator=draw, dtype=torch.float64)
    return members, truth, torch.rand(truth.shape, generator=draw) > 0.3


def seeded(loss: LossModule) -> Callable[..., Tensor]:
    """The loss with the same random mixtures at every call."""

    def call(*fields: Tensor) -> Tensor:
        torch.manual_seed(0)
        return loss(*fields)

    return call


def mean_loss(loss: LossModule, *fields: Tensor) -> float:
    """Over the same thirty random mixtures."""
    torch.manual_seed(0)
    return sum(loss(*fields).item() for _ in range(30)) / 30


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
        torch.testing.assert_close(loss(rows(members), truth, mask), absolute, rtol=1e-6, atol=0)
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


class Cubed(nn.Module):
    """Physical units of which the second variable is learnt as a root."""

    def forward(self, fields: Tensor) -> Tensor:
        return torch.stack([0 * fields[..., 0, :, :], fields[..., 1, :, :] ** 3], dim=-3)


def test_the_physical_term_by_hand() -> None:
    two = torch.ones(2)
    weights = Weights(scale=2 * two, variable=two, rows=torch.ones(GRID[0]), physical=Cubed)
    truth = torch.full((1, 1, 2, *GRID), 2.0)
    mask = torch.ones_like(truth, dtype=torch.bool)
    mask[..., 0] = False
    members = torch.where(mask, torch.tensor([1.0, 3.0]).view(2, 1, 1, 1, 1), torch.nan)
    plain, more = (
        parse(LOSSES["crps"], {"fair": 0.0, "spectral": 0.0, "physical": w}).build(weights) for w in (0, 0.5)
    )
    # cubes 1 and 27 against 8: mean |x - y| = (7 + 19) / 2 = 13, |x - x'| / 4 = 6.5; of two variables one has it
    added = more(members, truth, mask) - plain(members, truth, mask)
    assert added.item() == pytest.approx(0.5 * (13 - 6.5) / 2)
    assert plain.contributions()[0] == more.contributions()[0]  # the first variable is learnt in its units


def test_without_physical_units_the_physical_term_is_none() -> None:
    members, truth, mask = make_fields(2)
    weights = Weights(scale=torch.ones(2), variable=torch.ones(2), rows=torch.ones(GRID[0]))
    losses = [parse(LOSSES["crps"], {"spectral": 0.0, "physical": weight}).build(weights) for weight in (0.0, 1.0)]
    first, second = (loss(rows(members), truth, mask) for loss in losses)
    assert first == second


def test_scales_by_hand() -> None:
    zero = torch.zeros(1, 1, 1, *GRID, dtype=torch.float64)
    mask = torch.ones_like(zero, dtype=torch.bool)

    def added(field: Tensor) -> float:
        """What the scales add for two members alike, whose score is their error, truth 0."""
        both = rows(torch.stack([field, field], dim=1))
        loss, points = (make_loss(scales=scales, variables=1) for scales in (0.5, 0.0))
        return (loss(both, zero, mask) - points(both, zero, mask)).item()

    # 4 x 6 points have blocks of 1, 2, 4 and 8, which count 1, 1/2, 1/4 and 1/8; a constant is in the last mean alone
    assert added(zero + 3) == pytest.approx(0.5 * 3 / 8)
    point = zero.clone()
    point[..., 0, 0] = 16.0
    # 16 - 4 and three times 0 - 4 of 24 points; of six blocks 4 - 1 and three times 0 - 1; of the coarser two, of which
    # one has half the columns, 1 - 1/2 and 0 - 1/2; and 1/2
    assert added(point) == pytest.approx(0.5 * (24 / 24 + 6 / 6 / 2 + 1 / 2 / 4 + 1 / 2 / 8))
    mask[..., 0, 1] = mask[..., 1, :2] = False  # the block is one known point: its mean of 16 weighs a quarter
    mean, whole = 4 / 3.25, 4 / 7.25
    assert added(point) == pytest.approx(0.5 * (0 + 2 * 3 * mean / 5.25 / 2 + 2 * whole / (7.25 / 4) / 4 + whole / 8))


def test_one_number_for_the_whole_grid_does_not_pass_for_spread() -> None:
    """Members that differ from point to point, as the truth does, and members that differ by one number."""
    grid, draw = (16, 16), torch.Generator().manual_seed(0)
    truth = torch.randn(64, 1, 2, *grid, generator=draw)
    mask = torch.ones_like(truth, dtype=torch.bool)
    honest = torch.randn(128, 1, 2, *grid, generator=draw)
    shifted = torch.randn(128, 1, 2, 1, 1, generator=draw).expand(-1, -1, -1, *grid)
    plain, loss = make_loss(grid=grid), make_loss(grid=grid, scales=1.0)
    assert plain(shifted, truth, mask).item() == pytest.approx(plain(honest, truth, mask).item(), rel=0.1)
    assert mean_loss(loss, shifted, truth, mask) > 1.2 * mean_loss(loss, honest, truth, mask)


def test_how_variables_hang_together_is_seen() -> None:
    """A truth of two independent variables; members of which the second is the first again, or its opposite."""
    grid, draw = (8, 8), torch.Generator().manual_seed(0)
    truth = torch.randn(128, 1, 2, *grid, generator=draw)
    mask = torch.ones_like(truth, dtype=torch.bool)
    honest = torch.randn(256, 1, 2, *grid, generator=draw)
    plain, loss = make_loss(grid=grid), make_loss(grid=grid, scales=1.0)

    for sign in (1, -1):
        bound = torch.cat([honest[:, :, :1], sign * honest[:, :, :1]], dim=2)
        assert plain(bound, truth, mask).item() == pytest.approx(plain(honest, truth, mask).item(), rel=0.02)
        assert mean_loss(loss, bound, truth, mask) > 1.02 * mean_loss(loss, honest, truth, mask)


def test_members_belong_to_the_rows_beside_them() -> None:
    members, truth, mask = make_fields(2)
    loss = make_loss()
    together = loss(rows(members), truth, mask)
    counts = mask.flatten(1).sum(1)
    apart = [loss(members[case], truth[case : case + 1], mask[case : case + 1]) for case in range(3)]
    torch.testing.assert_close(together, (torch.stack(apart) * counts).sum() / counts.sum())


@pytest.mark.parametrize(("spectral", "scales"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("value", [99.0, math.nan])
def test_what_is_masked_changes_nothing(spectral: float, scales: float, value: float) -> None:
    members, truth, mask = make_fields(3)
    loss = seeded(make_loss(0.95, spectral, scales=scales))
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
