"""The short training loop of the estimators: Adam, a plateau schedule, early stopping, the best weights kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to fit.

    Attributes:
        epochs: passes over the training cases at most.
        batch_size: cases in a step.
        lr: learning rate at first; the plateau schedule lowers it.
        patience: passes without a lower validation loss after which it ends; half of them lower the learning rate.
        clip: largest gradient norm.
    """

    epochs: int
    batch_size: int
    lr: float
    patience: int
    clip: float


@dataclass(frozen=True, kw_only=True)
class History:
    """The losses of each pass."""

    train: list[float]
    validation: list[float]


def fit_network(
    network: nn.Module, loss: Loss, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], how: Settings
) -> History:
    """Fit a network in place to cases and targets; it ends with the weights of the lowest validation loss.

    Randomness comes from torch's global state.
    """
    optimizer = torch.optim.Adam(network.parameters(), how.lr)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=how.patience // 2)
    history, best, stale = History(train=[], validation=[]), deepcopy(network.state_dict()), 0
    while len(history.train) < how.epochs and stale <= how.patience:
        history.train.append(_pass(network, loss, optimizer, training, how))
        score = _score(network, loss, validation)
        stale = 0 if score < min(history.validation, default=float("inf")) else stale + 1
        history.validation.append(score)
        schedule.step(score)
        if stale == 0:
            best = deepcopy(network.state_dict())
    network.load_state_dict(best)
    network.eval()
    return history


def _pass(
    network: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, training: tuple[Tensor, Tensor], how: Settings
) -> float:
    """One shuffled pass; the mean loss."""
    network.train()
    losses = []
    for cases, targets in _shuffled(*training, how.batch_size):
        value = loss(network(cases), targets)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), how.clip)
        optimizer.step()
        losses.append(value.detach())
    return float(torch.stack(losses).mean())


def _shuffled(cases: Tensor, targets: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(cases))
    for first in range(0, len(cases), size):
        chosen = order[first : first + size]
        yield cases[chosen], targets[chosen]


@torch.no_grad()
def _score(network: nn.Module, loss: Loss, validation: tuple[Tensor, Tensor]) -> float:
    network.eval()
    return float(loss(network(validation[0]), validation[1]))
