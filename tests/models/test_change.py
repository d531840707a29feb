"""What the output of a network means that predicts a change."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from weatherml.fields import Batch, Shape
from weatherml.models.prediction import FOLDS, Change
from weatherml.nn.padding import Padding

C, L, SIZE = 3, 2, 6
SHAPE = Shape(channels=C, lead=L, height=SIZE, width=SIZE, delta_std=(0.1, 0.2, 0.3))
CELLS = 2.0
FLOW, DEPARTURES = L * C, L * C + 2 * L
"""Where they begin in the output, after the change itself."""


@pytest.fixture
def batch() -> Batch:
    return Batch(
        history=torch.randn(2, 1, C, SIZE, SIZE),
        forcing=torch.zeros(2, L, 0, SIZE, SIZE),
        static=torch.zeros(0, SIZE, SIZE),
        valid_time=torch.zeros(2, L, dtype=torch.int64),
    )


@pytest.fixture
def change() -> Change:
    return Change(SHAPE, padding=Padding(y="circular", x="circular"), advection=CELLS)


@pytest.fixture
def output(change: Change) -> torch.Tensor:
    return torch.zeros(2, change.outputs, SIZE, SIZE)


def test_nothing_is_persistence(change: Change, batch: Batch, output: torch.Tensor) -> None:
    assert_close(change(batch, output), batch.history.expand(2, L, C, SIZE, SIZE), atol=1e-5, rtol=0)


def test_the_flow_carries_all_variables_of_a_lead(change: Change, batch: Batch, output: torch.Tensor) -> None:
    output[:, FLOW + 3] = 1 / CELLS  # of the second lead, along x
    states = change(batch, output)
    assert_close(states[:, 0], batch.history[:, 0], atol=1e-5, rtol=0)
    assert_close(states[:, 1], batch.history[:, 0].roll(1, dims=-1), atol=1e-5, rtol=0)


def test_a_variable_departs_from_the_flow(change: Change, batch: Batch, output: torch.Tensor) -> None:
    output[:, FLOW + 1] = 1 / CELLS
    output[:, DEPARTURES + 2 * 1] = -2 / CELLS  # of the first lead's second variable, along y
    (state,) = change(batch, output)[:, :1].unbind(1)
    moved = batch.history[:, 0].roll(1, dims=-1)
    assert_close(state[:, [0, 2]], moved[:, [0, 2]], atol=1e-5, rtol=0)
    assert_close(state[:, 1], moved[:, 1].roll(-2, dims=-2), atol=1e-5, rtol=0)


def test_the_change_is_added_to_what_was_carried(change: Change, batch: Batch, output: torch.Tensor) -> None:
    output[:, FLOW + 1] = 1 / CELLS
    output[:, 2] = 1
    expected = batch.history[:, 0, 2].roll(1, dims=-1) + 0.3
    assert_close(change(batch, output)[:, 0, 2], expected, atol=1e-5, rtol=0)


def test_what_is_carried_decays_where_it_arrives(change: Change, batch: Batch, output: torch.Tensor) -> None:
    assert change.arrival is not None
    weights, high, third = dict(change.arrival.named_parameters()), 20.0, 2  # silu is the identity from 20 on
    with torch.no_grad():
        for weight in weights.values():
            torch.nn.init.zeros_(weight)
        weights["0.weight"][0, third, 1, 1] = 1  # the first lead's third variable at the point itself
        weights["0.bias"][0] = high
        weights["2.weight"][third, 0, 1, 1] = -0.5
        weights["2.bias"][third] = 0.5 * high
    output[:, FLOW + 1] = 1 / CELLS
    moved = batch.history[:, 0].roll(1, dims=-1)
    state = change(batch, output)[:, 0]
    assert_close(state[:, third], moved[:, third] * (1 - 0.5 * 0.3), atol=1e-4, rtol=0)
    assert_close(state[:, :third], moved[:, :third], atol=1e-5, rtol=0)


def test_a_change_is_multiplied_where_what_is_carried_arrives(
    change: Change, batch: Batch, output: torch.Tensor
) -> None:
    assert change.growth is not None
    weights = dict(change.growth.named_parameters())
    growth, second = 0.7, 1
    with torch.no_grad():
        for weight in weights.values():
            torch.nn.init.zeros_(weight)
        weights["2.bias"][second] = growth  # of the first lead's second variable
    output[:, second] = 1.0
    expected = batch.history[:, 0, second] + math.exp(growth) * 0.2
    assert_close(change(batch, output)[:, 0, second], expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        weights["2.bias"][second] = -100.0  # no change is lost for good
    expected = batch.history[:, 0, second] + math.exp(-FOLDS) * 0.2
    assert_close(change(batch, output)[:, 0, second], expected, atol=1e-5, rtol=0)


def test_features_of_the_network_reach_where_it_arrives(change: Change, batch: Batch, output: torch.Tensor) -> None:
    assert change.arrival is not None
    with torch.no_grad():
        torch.nn.init.ones_(dict(change.arrival.named_parameters())["2.weight"])
    before = change(batch, output)
    output[:, -1] = 1.0
    assert not torch.allclose(change(batch, output), before)


def test_without_advection_there_is_nothing_to_arrive() -> None:
    plain = Change(SHAPE)
    assert plain.arrival is None
    assert plain.growth is None
    assert plain.outputs == L * C
