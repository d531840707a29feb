"""The loss over a horizon follows the forecast as a rollout would, and gradients flow through it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from weatherml.fields import Batch, Fields
from weatherml.models.base import Model
from weatherml.run.experiment import resolve
from weatherml.train.objective import follow, horizon_at, repeated


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


def test_the_horizon_opens_at_the_end() -> None:
    config = resolve(None, assignments=["train.horizon=3", "train.horizon_share=0.25"]).train
    assert [horizon_at(step, 100, config) for step in (0, 74, 75, 99)] == [1, 1, 3, 3]
