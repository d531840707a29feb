"""The expected size of a forecast's error: learnt where it differs from place to place, and left alone with ties."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from weatherml.fields import Shape
from weatherml.models.local_spread import FOLD, LocalSpread, normal_surprise
from weatherml.nn.inputs import StackedInputs
from weatherml.nn.padding import Padding

SHAPE = Shape(channels=2, height=24, width=24, delta_std=(0.5, 0.2), tied=(False, True))
RMS = math.sqrt((1 + 0.25) / 2)


def build(shape: Shape = SHAPE) -> LocalSpread:
    torch.manual_seed(0)
    return LocalSpread(shape, StackedInputs(shape), padding=Padding(y="circular", x="circular"))


def draw(cases: int = 4) -> tuple[Tensor, Tensor]:
    """A forecast, and errors twice as large where its first variable is above 0."""
    forecast = torch.randn(cases, 1, 2, 24, 24).sign()
    return forecast, torch.where(forecast[:, :, :1] > 0, 1.0, 0.5) * torch.randn_like(forecast)


def test_it_is_one_before_training() -> None:
    forecast, _ = draw()
    assert torch.equal(build()(forecast, forecast[:, 0]), torch.ones_like(forecast))


def test_it_learns_where_errors_are_large_and_leaves_tied_variables_alone() -> None:
    spread = build()
    optimizer = torch.optim.Adam(spread.parameters(), lr=0.01)
    for _ in range(150):
        forecast, error = draw()
        optimizer.zero_grad()
        local = spread(forecast, forecast[:, 0])
        normal_surprise(error / RMS, local, torch.ones_like(error)).backward()
        optimizer.step()
    forecast, _ = draw()
    found = RMS * spread(forecast, forecast[:, 0]).detach()
    wanted = torch.where(forecast[:, :, 0] > 0, 1.0, 0.5)
    assert (found[:, :, 0] / wanted - 1).abs().mean() < 0.08
    torch.testing.assert_close(found[:, :, 1], torch.full_like(wanted, RMS))


def test_it_stays_within_bounds() -> None:
    spread = build(Shape(channels=2, height=24, width=24, delta_std=(0.5, 0.2)))  # no ties known
    forecast, _ = draw()
    torch.nn.init.normal_(spread.network[-1].weight, std=1e3)
    found = spread(forecast, forecast[:, 0]).detach()
    assert float(found.max()) == pytest.approx(FOLD)
    assert float(found.min()) == pytest.approx(1 / FOLD)


def test_it_teaches_the_forecast_nothing() -> None:
    spread, (forecast, _) = build(), draw()
    torch.nn.init.normal_(spread.network[-1].weight)
    forecast.requires_grad_()
    spread(forecast, torch.zeros(4, 2, 24, 24)).sum().backward()
    assert forecast.grad is None


def test_the_surprise_of_what_counts_is_that_of_a_normal_law() -> None:
    error, spread = torch.randn(2, 1, 2, 5, 5), torch.rand(2, 1, 2, 5, 5) + 0.5
    counts = torch.randint(0, 3, error.shape).float()
    law = torch.distributions.Normal(0.0, spread)
    expected = -(law.log_prob(error) * counts).sum() / counts.sum() - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(normal_surprise(error, spread, counts), expected)
