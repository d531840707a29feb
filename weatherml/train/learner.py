"""A network as it learns: its weights, its optimizer, and the average of its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.autograd.graph import save_on_cpu

from weatherml.errors import BadDataError, reason
from weatherml.fields import Batch
from weatherml.models.base import Model
from weatherml.nn.recompute import set_checkpointing
from weatherml.run.checkpoint import AGAIN, Checkpoint
from weatherml.run.device import memory_format
from weatherml.run.directory import Run, load_weights
from weatherml.run.experiment import TrainConfig
from weatherml.run.transfer import start_from
from weatherml.train.optimizer import MovingAverage, build_optimizer
from weatherml.train.processes import spread_like, whole
from weatherml.train.share import Share, seed_noise


class Learner:
    """What an optimizer step changes, and what a checkpoint of it holds.

    Args:
        model: freshly built.
        config: of training.
        fabric: its precision and strategy.

    Attributes:
        model: under the strategy.
        network: the same, bare.
        average: the moving average of the weights, whole in every process.
        first_bad: the first step whose loss or gradient was not finite, -1 before one; on the device, since asking
            for it waits for the device.
    """

    def __init__(self, model: Model, config: TrainConfig, fabric: Fabric) -> None:
        self.fabric, self.config = fabric, config
        model = model.to(fabric.device, memory_format=memory_format(fabric.device))  # type: ignore[call-overload]
        set_checkpointing(model, config.checkpointing)
        self.average = MovingAverage(model, config.ema)
        if config.compile != "none":
            for part in model.children():  # not the model itself: its methods change from call to call
                part.compile(mode=config.compile)
        self.model = fabric.setup_module(model)
        self.network: Any = self.model.module
        self.optimizer: Any = fabric.setup_optimizers(build_optimizer(self.model, config))
        self.model.mark_forward_method("within")
        self.first_bad = torch.full((), -1, device=fabric.device)

    def gradients(self, share: Share, step: int, batches: Iterator[Batch], objective: Callable[..., Tensor]) -> Tensor:
        """Leave in the weights the gradients of this process's share of step `step`.

        Args:
            share: what is computed here.
            step: decides the noise.
            batches: the share's microbatches, in order.
            objective: from the network and `batch=` to a loss.

        Returns:
            The loss of the step, the mean over all processes, on the device.
        """
        total = torch.zeros((), device=self.fabric.device)
        microbatches = share.microbatches(step)
        last = microbatches[-1][0], microbatches[-1][1][-1]
        for number, pieces in microbatches:
            batch = next(batches)
            for piece in pieces:
                seed_noise(self.config.seed, number, piece)
                loss = self.loss(partial(objective, batch=share.cut(batch, piece))) * share.weight
                self.backward(loss, last=(number, piece) == last)
                total += loss.detach()
        return torch.as_tensor(self.fabric.all_reduce(total, reduce_op="mean"))

    def loss(self, work: Callable[[Model], Tensor]) -> Tensor:
        """What `work` makes of the network, as the precision and the strategy compute it."""
        on_card = self.fabric.device.type == "cuda"
        with save_on_cpu(pin_memory=on_card) if self.config.offload else nullcontext():
            loss: Tensor = self.model.within(work)
        return loss

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add to the gradients; the last time of a step the processes' gradients are averaged."""
        with self.fabric.no_backward_sync(self.model, enabled=not last):
            self.fabric.backward(loss)

    def finish(self, loss: Tensor, *, rate: float, step: int) -> Tensor:
        """Take the optimizer's step, unless the loss or the gradient is not finite, without asking the device.

        Returns:
            The gradient's norm before it was clipped, on the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm: Tensor = whole(
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False)
        )
        sound = loss.isfinite()
        if self.fabric.strategy.precision.precision != "16-mixed":  # its scaler looks for what overflows by itself
            sound = sound & norm.isfinite()
            self.optimizer.optimizer.found_inf = (~sound).float()  # fused optimizers then leave everything as it is
        self.first_bad = torch.where(sound | (self.first_bad >= 0), self.first_bad, step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.network, step)
        return norm

    def forget(self) -> None:
        """Drop the gradients of a step that is to be taken again."""
        self.optimizer.zero_grad()

    def state(self) -> dict[str, Any]:
        """Weights and optimizer state, whole; all processes must ask together."""
        return {"weights": whole(self.network.state_dict()), "optimizer": whole(self.optimizer.state_dict())}

    def restore(self, saved: Checkpoint, run: Run) -> None:
        """Take a checkpoint's weights, average and optimizer state.

        Raises:
            BadDataError: it is not of this model, or has no optimizer state.
        """
        if saved.optimizer is None:
            raise BadDataError(f"{run.path}: step {saved.step} has no optimizer state; it cannot go on")
        load_weights(self.average.model, saved.average, run.path)
        self._load(saved.weights)
        try:
            self._load_optimizer(saved.optimizer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # a stranger's state may hold anything
            raise BadDataError(
                f"{run.path}: the optimizer state of step {saved.step} does not fit ({reason(error)}); {AGAIN}"
            ) from None

    def start_from(self, run: Run, other: Run) -> str:
        """Begin this run with another's weights; returns in words what was taken."""
        transfer = start_from(self.average.model, run, other)
        self._load(self.average.model.state_dict())
        return transfer.describe()

    def _load_optimizer(self, saved: dict[str, Any]) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state = {
            number: {name: spread_like(value, parameters[number]) for name, value in values.items()}
            for number, values in saved["state"].items()
        }
        self.optimizer.load_state_dict({**saved, "state": state})

    def _load(self, weights: dict[str, Tensor]) -> None:
        ours = self.network.state_dict()
        self.network.load_state_dict({name: spread_like(value, ours[name]) for name, value in weights.items()})
