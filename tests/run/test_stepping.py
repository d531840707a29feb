"""Stepping: bounded, fed back, noise by step, and the same from any state on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from weatherml.data.known import KnownFields
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.fields import Batch, Fields, Noise
from weatherml.models.base import Model
from weatherml.run.noise import MemberNoise
from weatherml.run.stepping import finite, known_batch, roll


class Wander(Model):
    """Moves on from the mean of the history by noise, L states at once."""

    def __init__(self, lead: int) -> None:
        super().__init__()
        self.lead = lead
        self.valid_times: list[Tensor] = []

    def forward(self, batch: Batch) -> Fields:
        return batch.history.mean(1, keepdim=True).expand(-1, self.lead, -1, -1, -1)

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        assert noise is not None
        self.valid_times.append(batch.valid_time)
        mean = self(batch)
        return mean + noise(mean.shape).cumsum(1)


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


def states(dataset: Dataset, model: Model, history: Tensor, *, lead: int, steps: int, first: int = 0) -> Tensor:
    """(steps - first, B, C, H, W)."""
    times, members = dataset.times[[10, 10]], np.array([0, 1])
    rolled = roll(
        model,
        history,
        times,
        step=dataset.step,
        steps=steps,
        lead=lead,
        normaliser=normaliser(dataset),
        known=KnownFields(dataset),
        noise=MemberNoise(5, times, members, correlation=0.5),
        first=first,
    )
    return torch.stack(list(rolled))


def normaliser(dataset: Dataset) -> Normaliser:
    return Normaliser(dataset.variables, dataset.packings, dataset.statistics)


def start(dataset: Dataset, T: int) -> Tensor:
    return torch.zeros(2, T, len(dataset.names), *dataset.grid.shape)


@pytest.mark.parametrize("lead", [1, 2])
@pytest.mark.parametrize("first", [2, 4])
def test_goes_on_from_any_step_to_the_last_bit(dataset: Dataset, lead: int, first: int) -> None:
    T = 3
    whole = states(dataset, Wander(lead), start(dataset, T), lead=lead, steps=7)
    assert len(whole) == 7
    past = normaliser(dataset).normalise(whole[:first].transpose(0, 1))
    history = torch.cat([start(dataset, T), past], dim=1)[:, -T:]
    rest = states(dataset, Wander(lead), history, lead=lead, steps=7, first=first)
    assert torch.equal(rest, whole[first:])


def test_valid_times_count_from_the_initial_time(dataset: Dataset) -> None:
    model = Wander(2)
    states(dataset, model, start(dataset, 1), lead=2, steps=6, first=2)
    hours = torch.stack(model.valid_times)[:, 0] - int(dataset.times[10].astype(np.int64))
    assert (hours / 3600).tolist() == [[3, 4], [5, 6]]


def test_what_is_given_out_is_bounded_and_differs_by_row(dataset: Dataset) -> None:
    whole = states(dataset, Wander(1), 2 + start(dataset, 1), lead=1, steps=2)
    assert not torch.equal(whole[0, 0], whole[0, 1])
    bounds = normaliser(dataset).forecast(torch.full((len(dataset.variables), 1, 1), 1e4)).flatten()
    torch.testing.assert_close(whole.amax(dim=(0, 1, 3, 4)), bounds)
    for bound, variable in zip(bounds.tolist(), dataset.variables, strict=True):
        assert variable.valid_max is None or bound <= variable.valid_max


def test_finite_looks_at_every_point() -> None:
    fields = torch.zeros(3, 2, 4, 4)
    fields[1, 1, 3, 3], fields[2, 0, 0, 0] = torch.nan, torch.inf
    assert finite(fields).tolist() == [True, False, False]


def test_a_batch_of_what_is_known(dataset: Dataset) -> None:
    valid = dataset.times[[3, 4]][:, None]
    batch = known_batch(start(dataset, 1), valid, KnownFields(dataset))
    assert batch.forcing.shape[:2] == (2, 1)
    assert batch.target is None
    assert batch.valid_time.tolist() == valid.astype(np.int64).tolist()
