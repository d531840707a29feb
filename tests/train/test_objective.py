"""The loss over a horizon follows the forecast as a rollout would, and gradients flow through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from weatherml.data.known import KnownFields
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.store import open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Fields
from weatherml.models.base import Model
from weatherml.run.experiment import resolve
from weatherml.run.stepping import roll
from weatherml.train.objective import follow, horizon_at, mean_work, repeated


class Shift(Model):
    """Adds a learned constant."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, batch: Batch) -> Fields:
        return batch.history[:, -1:] + self.amount


def squares(prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
    return ((prediction - target) ** 2)[mask].mean()


def rising(leads: int) -> Batch:
    """A state of 0 that grows by 1 a step."""
    target = torch.arange(1.0, leads + 1).view(1, leads, 1, 1, 1).expand(2, leads, 1, 4, 5)
    return Batch(
        history=torch.zeros(2, 2, 1, 4, 5),
        forcing=torch.zeros(2, leads, 0, 4, 5),
        static=torch.zeros(0, 4, 5),
        valid_time=torch.zeros(2, leads, dtype=torch.int64),
        target=target,
        mask=torch.ones_like(target, dtype=torch.bool),
    )


@pytest.mark.parametrize(("horizon", "expected"), [(1, 0.25), (2, (0.25 + 1) / 2), (3, (0.25 + 1 + 2.25) / 3)])
def test_errors_grow_along_the_horizon(horizon: int, expected: float) -> None:
    """Half the true change a step: errors of 0.5, 1, 1.5 after 1, 2, 3 calls."""
    model = Shift(0.5)
    loss = follow(model, rising(3), squares, horizon=horizon, lead=1, bounded=lambda x: x)
    assert float(loss.detach()) == pytest.approx(expected)
    loss.backward()
    assert model.amount.grad is not None
    # d/da mean_k (k a - k)^2 = mean_k 2 k^2 (a - 1)
    assert float(model.amount.grad) == pytest.approx(sum(-(k**2) for k in range(1, horizon + 1)) / horizon)


@pytest.mark.parametrize("horizon", [1, 3])
def test_each_member_forecasts_for_itself(horizon: int) -> None:
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    class Drift(Shift):
        """Row k of a call drifts by k."""

        def forward(self, batch: Batch) -> Fields:
            rows = torch.arange(len(batch.history)).view(-1, 1, 1, 1, 1)
            return batch.history[:, -1:] + rows

    def spy(prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        assert mask.shape == target.shape
        seen.append((tuple(prediction.shape), tuple(target.shape)))
        return prediction[..., 0, 0].mean()

    total = follow(Drift(0.0), rising(3), spy, horizon=horizon, lead=1, bounded=lambda x: x, members=3)
    assert seen == [((6, 1, 1, 4, 5), (2, 1, 1, 4, 5))] * horizon
    # rows 0 to 5 drift by 2.5 a call in the mean, each from where it was: 2.5, 5, 7.5
    assert float(total) == pytest.approx(2.5 * (horizon + 1) / 2)


def test_repeated_rows_lie_side_by_side() -> None:
    batch = rising(2).map(lambda tensor: tensor + torch.arange(len(tensor)).view(-1, *[1] * (tensor.ndim - 1)))
    several = repeated(batch, 2)
    assert several.history[:, 0, 0, 0, 0].tolist() == [0, 0, 1, 1]
    assert several.valid_time[:, 0].tolist() == [0, 0, 1, 1]
    assert several.target is batch.target
    assert several.static is batch.static
    assert repeated(batch, 1) is batch


def test_states_are_bounded_before_they_are_fed_back() -> None:
    loss = follow(Shift(0.5), rising(3), squares, horizon=3, lead=1, bounded=torch.zeros_like)
    assert float(loss.detach()) == pytest.approx((0.5**2 + 1.5**2 + 2.5**2) / 3)  # each call starts from 0 again


def test_pushforward_takes_the_last_call_alone() -> None:
    """Errors as above, 1.5 after 3 calls; d/da (h + a - 3)^2 = 2 (3 a - 3) with h = 2 a held fixed."""
    model = Shift(0.5)
    loss = follow(model, rising(3), squares, horizon=3, lead=1, bounded=lambda x: x, pushforward=True)
    assert float(loss.detach()) == pytest.approx(1.5**2)
    loss.backward()
    assert model.amount.grad is not None
    assert float(model.amount.grad) == pytest.approx(2 * -1.5)


def test_calls_but_the_last_are_computed_again_with_the_same_noise() -> None:
    """The gradient is that of the noise that was drawn, also where a call runs a second time."""
    calls: list[Tensor] = []

    class Noisy(Shift):
        def forward(self, batch: Batch) -> Fields:
            calls.append(torch.rand(()))
            return batch.history[:, -1:] + self.amount * calls[-1].view(1, 1, 1, 1, 1).sin()

    def mean(prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        return prediction.square().mean()

    model = Noisy(1.0)
    follow(model, rising(3), mean, horizon=3, lead=1, bounded=lambda x: x**2).backward()
    first, second, third = calls[:3]
    assert {float(call) for call in calls[3:]} == {float(first), float(second)}
    one, two, three = (float(call.sin()) for call in (first, second, third))
    assert model.amount.grad is not None
    # states s1 a, (s1 a)^2 + s2 a, ((s1 a)^2 + s2 a)^2 + s3 a; the mean of their squares at a = 1
    states = one, one**2 + two, (one**2 + two) ** 2 + three
    slopes = one, 2 * one**2 + two, 2 * (one**2 + two) * (2 * one**2 + two) + three
    expected = sum(2 * state * slope for state, slope in zip(states, slopes, strict=True)) / 3
    assert float(model.amount.grad) == pytest.approx(expected, rel=1e-5)


def test_a_horizon_beyond_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.horizon: .* 3 targets, the data's cases have 2"):
        follow(Shift(0.5), rising(2), squares, horizon=3, lead=1, bounded=lambda x: x)


def test_the_states_are_those_of_a_rollout(small_dataset: Path) -> None:
    """Two leads a call, two states of history, known fields and bounds: to the last bit."""
    dataset = open_dataset(small_dataset)
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    known, data = KnownFields(dataset), DataConfig(history=2, lead=6)
    loader = Loader(dataset, "train", data, normaliser=normaliser, known=known, batch=2, seed=0)
    batch = loader.cases([5, 9])

    class Mix(Model):
        def forward(self, batch: Batch) -> Fields:
            return 1.5 * batch.history + batch.forcing[:, :, :1] + batch.static[:1] + 3

    predicted: list[Tensor] = []

    def spy(prediction: Fields, target: Fields, mask: Tensor) -> Tensor:
        predicted.append(normaliser.forecast(prediction))
        return prediction.mean()

    follow(Mix(), batch, spy, horizon=3, lead=2, bounded=normaliser.bounded)
    settings: Any = {"step": dataset.step, "steps": 6, "lead": 2, "normaliser": normaliser, "known": known}
    rolled = list(roll(Mix(), batch.history, dataset.times[[5, 9]], **settings))
    assert torch.equal(torch.cat(predicted, dim=1), torch.stack(rolled, dim=1))


def test_the_horizon_grows_in_equal_parts_at_the_end() -> None:
    config = resolve(None, assignments=["train.horizon=4", "train.horizon_share=0.3"]).train
    horizons = [horizon_at(step, 100, config) for step in range(100)]
    assert horizons == [1] * 70 + [2] * 10 + [3] * 10 + [4] * 10


@pytest.mark.parametrize("assignments", [["train.horizon=4", "train.horizon_share=0"], ["train.horizon=1"]])
def test_without_horizon_or_share_there_is_one_call(assignments: list[str]) -> None:
    config = resolve(None, assignments=assignments).train
    assert {horizon_at(step, 10, config) for step in range(10)} == {1}
    assert mean_work(config) == 1


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        # forward 1, backward 2: 2 calls take 2 x 3 and 1 again, 3 take 3 x 3 and 2, of one's 3
        (["train.horizon_share=0.4"], 0.6 + 0.2 * 7 / 3 + 0.2 * 11 / 3),
        (["train.horizon_share=1"], (7 + 11) / 2 / 7),
        # forward passes and one backward: 2 + 2 and 3 + 2
        (["train.horizon_share=0.4", "train.pushforward=true"], 0.6 + 0.2 * 4 / 3 + 0.2 * 5 / 3),
    ],
)
def test_work_counts_forward_and_backward_passes(assignments: list[str], expected: float) -> None:
    config = resolve(None, assignments=["train.horizon=3", *assignments]).train
    assert mean_work(config) == pytest.approx(expected)


def test_pushforward_over_one_step_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"set train\.horizon"):
        resolve(None, assignments=["train.pushforward=true"])
