"""What a run minimises, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from weatherml.data.store import Dataset
from weatherml.data.transforms import delta_scale
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Fields
from weatherml.losses.base import LossModule, Weights
from weatherml.models.base import Loss, Model
from weatherml.run.experiment import Experiment, TrainConfig


def build_loss(experiment: Experiment, dataset: Dataset) -> LossModule:
    """The experiment's loss, weighted by one-step change, variable and area.

    Raises:
        ConfigError: a weight for a variable that the run does not have.
    """
    for name in experiment.variable_weights:
        if name not in dataset.names:
            raise ConfigError(f"variable_weights.{name}: the run has {', '.join(dataset.names)}")
    named = torch.tensor([experiment.variable_weights.get(name, 1.0) for name in dataset.names])
    rows = torch.as_tensor(dataset.grid.row_weights, dtype=torch.float32)
    rows = rows[: experiment.data.crop[0]] if experiment.data.crop else rows
    return experiment.loss.build(
        Weights(scale=torch.tensor(delta_scale(dataset.statistics)), variable=named / named.mean(), rows=rows)
    )


def horizon_at(step: int, steps: int, config: TrainConfig) -> int:
    """Forecast steps that the loss of optimizer step `step` follows."""
    return config.horizon if step >= steps * (1 - config.horizon_share) else 1


def follow(
    model: Model,
    batch: Batch,
    loss: Loss,
    *,
    horizon: int,
    lead: int,
    bounded: Callable[[Fields], Fields],
    members: int = 1,
) -> Tensor:
    """The mean loss of a forecast of `horizon` calls of the model, each fed what the last one gave.

    One call is the model's own objective. Over more, gradients flow through the states that are fed back,
    so that the model learns to live with its own output. A loss that compares several members of a case has
    each of them forecast for itself.

    Args:
        model: predicts `lead` states a call.
        batch: with the targets of horizon * lead states.
        loss: between prediction and target.
        horizon: calls.
        lead: L.
        bounded: brings normalised states within the valid ranges, as a rollout does.
        members: forecasts of each case, `LossModule.members`.
    """
    if horizon == 1:
        return model.objective(repeated(part(batch, 0, lead), members), loss)
    batch = repeated(batch, members)
    history, total = batch.history, batch.history.new_zeros(())
    for call in range(horizon):
        now = replace(part(batch, call * lead, lead), history=history)
        prediction = model.step(now)
        assert now.target is not None
        assert now.mask is not None
        total = total + loss(prediction, now.target, now.mask)
        history = torch.cat([history, bounded(prediction)], dim=1)[:, -history.shape[1] :]
    return total / horizon


def repeated(batch: Batch, members: int) -> Batch:
    """The batch with what the model reads repeated for each member, and what the loss reads as it is."""
    if members == 1:
        return batch
    read = {name: getattr(batch, name).repeat_interleave(members, 0) for name in ("history", "forcing", "valid_time")}
    return replace(batch, **read)


def part(batch: Batch, first: int, lead: int) -> Batch:
    """The batch with only the valid times from `first` on, `lead` of them."""
    times = slice(first, first + lead)
    assert batch.target is not None
    assert batch.mask is not None
    return replace(
        batch,
        forcing=batch.forcing[:, times],
        valid_time=batch.valid_time[:, times],
        target=batch.target[:, times],
        mask=batch.mask[:, times],
    )


def total_steps(experiment: Experiment, cases: int) -> int:
    """Optimizer steps of the whole run."""
    config = experiment.train
    if config.epochs is None:
        return config.steps
    return max(1, round(config.epochs * cases / (config.batch * config.accumulate)))
