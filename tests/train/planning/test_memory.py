"""The planned peak is that of the same step on real tensors, watched by torch's own tracker."""

from __future__ import annotations

import pytest
import torch
from torch.distributed._tools.mem_tracker import MemTracker

from tests.train.planning.small import SMALL, make_shape
from weatherml.fields import Batch, Shape
from weatherml.losses import LOSSES
from weatherml.losses.base import Weights
from weatherml.models import MODELS
from weatherml.nn.recompute import Checkpointing, set_checkpointing
from weatherml.train.objective import repeated
from weatherml.train.planning.plan import Planner
from weatherml.train.planning.step import StepSettings


class Objective(torch.nn.Module):
    """A model and its loss as one module, so that the tracker lets the model be called again."""

    def __init__(self, kind: str, shape: Shape, level: Checkpointing) -> None:
        super().__init__()
        self.model = MODELS[kind](**SMALL[kind]).build(shape)
        weights = Weights(scale=torch.tensor(shape.delta_std), variable=torch.ones(2), rows=torch.ones(shape.height))
        self.loss = LOSSES[MODELS[kind].loss]().build(weights)
        for part in (self.model, self.loss):
            set_checkpointing(part, level)

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.model.objective(repeated(batch, self.loss.members), self.loss)


def real_peak(kind: str, shape: Shape, level: Checkpointing) -> int:
    """Bytes at the peak of the second step on two real cases, with AdamW."""
    whole, state = Objective(kind, shape, level), torch.zeros(2, 1, 2, shape.height, shape.width)
    tensors = {"history": state, "forcing": state[:, :, :1].clone(), "static": state[0, :, 0].clone()}
    tensors |= {"target": state.clone(), "mask": torch.ones_like(state, dtype=torch.bool)}
    batch = Batch(**tensors, valid_time=torch.zeros(2, 1, dtype=torch.int64))
    optimizer = torch.optim.AdamW(whole.model.parameters(), fused=True)

    def step() -> None:
        whole(batch).backward()
        torch.nn.utils.clip_grad_norm_(whole.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()  # the optimizer's state is there from the second step on
    tracker = MemTracker()
    tracker.track_external(whole, optimizer, *(tensor for tensor in vars(batch).values()))
    with tracker:
        step()
    return sum(snapshot["Total"] for snapshot in tracker.get_tracker_snapshot("peak").values())


@pytest.mark.parametrize("kind", [kind for kind in SMALL if MODELS[kind].trainable])
def test_the_planned_peak_is_a_real_steps(kind: str) -> None:
    """At every level of checkpointing that the network has."""
    shape = make_shape(24, 40)
    planner = Planner(MODELS[kind](**SMALL[kind]), shape, loss=LOSSES[MODELS[kind].loss]())
    assert {"none", "blocks"} <= set(planner.levels)
    for level in planner.levels:
        memory = planner.training(StepSettings(batch=2, averages=0, checkpointing=level))[1]
        assert memory.total == pytest.approx(real_peak(kind, shape, level), rel=0.02), level


def test_the_parts_are_what_they_say() -> None:
    planner = Planner(MODELS["unet-residual"](**SMALL["unet-residual"]), make_shape(24, 40), loss=LOSSES["mse"]())
    memory = planner.training(StepSettings(batch=2, accumulate=2))[1]
    weights = 4 * planner.parameters
    assert memory.averages == weights
    assert memory.gradients == weights  # of the earlier microbatch
    assert memory.optimizer == pytest.approx(2 * weights, rel=0.01)  # two moments, and a step count for each tensor
    assert weights <= memory.weights < 1.01 * weights  # and the buffers
    # two cases of a state, a target, a mask of a byte, known fields and a static one, and the valid times
    assert memory.batch == 24 * 40 * (2 * (2 * 4 + 2 * 4 + 2 * 1 + 1 * 4) + 1 * 4) + 2 * 8
    assert memory.activations > memory.temporaries
