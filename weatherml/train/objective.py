"""What a run minimises, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import mean

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from weatherml.data.physical import physical_units
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser, delta_scale
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Fields
from weatherml.losses.base import LossModule, Weights
from weatherml.models.base import Loss, Model
from weatherml.nn.recompute import set_checkpointing
from weatherml.run.experiment import Experiment, TrainConfig
from weatherml.run.stepping import advance


def build_loss(experiment: Experiment, dataset: Dataset, normaliser: Normaliser) -> LossModule:
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
    weights = Weights(
        scale=torch.tensor(delta_scale(dataset.statistics)),
        variable=named / named.mean(),
        rows=rows,
        physical=partial(physical_units, dataset, normaliser),
    )
    loss = experiment.loss.build(weights)
    set_checkpointing(loss, experiment.train.checkpointing)
    return loss


def horizon_at(step: int, steps: int, config: TrainConfig) -> int:
    """Forecast steps that the loss of optimizer step `step` follows: 1, then 2, 3, ... in equal parts of the rest."""
    first = steps * (1 - config.horizon_share)
    if step < first or config.horizon == 1:
        return 1
    return 2 + int((config.horizon - 1) * (step - first) / (steps - first))


def mean_work(config: TrainConfig) -> float:
    """The average work of an optimizer step of the run, in units of its first."""
    if config.horizon == 1:
        return 1.0
    calls = partial(_work, pushforward=config.pushforward)
    longer, share = mean(map(calls, range(2, config.horizon + 1))), config.horizon_share
    return longer / calls(2) if share == 1 else 1 + share * (longer - 1)


def alike(config: TrainConfig) -> float:
    """The share of the run, from its begin on, whose steps follow the model as far as the first does."""
    return 1.0 if config.horizon == 1 else 1 - config.horizon_share


def _work(calls: int, *, pushforward: bool) -> float:
    """The work of a loss over some calls, of one call's: a backward pass is reckoned as two forward passes."""
    return (calls + 2) / 3 if pushforward else (4 * calls - 1) / 3  # all but the last are computed twice


def follow(
    model: Model,
    batch: Batch,
    loss: Callable[..., Tensor],
    *,
    horizon: int,
    lead: int,
    bounded: Callable[[Fields], Fields],
    members: int = 1,
    pushforward: bool = False,
) -> Tensor:
    """The loss of a forecast of `horizon` calls of the model, each fed what the last one gave.

    One call is the model's own objective. Over more it is the mean over the calls, and gradients flow through the
    states that are fed back, so that the model learns to live with its own output. The activations of one call are
    in memory at a time: the last call's, whose gradient is taken first, are kept, the others' are computed again.
    A loss that compares several members of a case has each of them forecast for itself.

    Args:
        model: predicts `lead` states a call.
        batch: with the targets of horizon * lead states.
        loss: between prediction and target; where the cases have weights it takes them too.
        horizon: calls, see `horizon_at`.
        lead: L.
        bounded: brings normalised states within the valid ranges, as a rollout does.
        members: forecasts of each case, `LossModule.members`.
        pushforward: the loss is that of the last call alone, with gradients through it alone: the earlier ones
            give it the errors that it must learn to take back (Brandstetter et al. 2022, arXiv 2202.03376).

    Raises:
        ConfigError: the batch has fewer targets.
    """
    if batch.weight is not None:
        loss = partial(loss, weight=batch.weight)
    if horizon == 1:
        return model.objective(repeated(part(batch, 0, lead), members), loss)
    _require_targets(batch, horizon * lead)
    batch = repeated(batch, members)
    *calls, last = (part(batch, call * lead, lead) for call in range(horizon))
    history, total = batch.history, batch.history.new_zeros(())

    def call(history: Fields, now: Batch) -> tuple[Fields, Fields]:
        return advance(model, replace(now, history=history), lambda states: (states, bounded(states)))

    for now in calls:
        if pushforward:
            with torch.no_grad():
                history = call(history, now)[1]
        else:
            prediction, history = checkpoint(call, history, now, use_reentrant=False)
            total = total + _between(prediction, now, loss)
    total = total + _between(call(history, last)[0], last, loss)
    return total if pushforward else total / horizon


def _between(prediction: Fields, batch: Batch, loss: Loss) -> Tensor:
    assert batch.target is not None
    assert batch.mask is not None
    return loss(prediction, batch.target, batch.mask)


def _require_targets(batch: Batch, needed: int) -> None:
    assert batch.target is not None
    held = batch.target.shape[1]
    if held < needed:
        raise ConfigError(f"train.horizon: its loss needs {needed} targets, the data's cases have {held}; set it to 1")


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
