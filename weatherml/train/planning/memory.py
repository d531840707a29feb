"""What a step holds in memory, watched while it runs on fake tensors."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributed._tools.mem_tracker import MemTracker

from weatherml.fields import Batch
from weatherml.models.base import Model
from weatherml.train.planning.step import Call, TrainingStep


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that tensors hold at the moment when they hold the most, by what they are for.

    Attributes:
        weights: of the network, with its buffers and the loss's.
        averages: the moving average of the weights.
        gradients: of the weights.
        optimizer: its state, and what its step needs for itself.
        batch: the cases.
        activations: of the forward pass, and of the parts of it that are computed again.
        temporaries: of the backward pass, gradients of activations among them.
    """

    weights: int
    averages: int
    gradients: int
    optimizer: int
    batch: int
    activations: int
    temporaries: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())


class PeakTracker(MemTracker):  # type: ignore[no-untyped-call]  # its base has no annotations
    """MemTracker without a peak of its own for each module, whose keeping takes most of its time."""

    def _update_peak_stats(self, peak_state: Any) -> None:  # noqa: ARG002 - the form in MemTracker
        for device, held in self._curr_mem_snap.items():
            if held["Total"] > self._peak_mem.get(device, 0):
                self._peak_mem[device] = held["Total"]
                self._peak_mem_snap[device] = dict(held)

    def parts(self) -> dict[str, int]:
        """Bytes at the peak under MemTracker's names."""
        snapshots = self.get_tracker_snapshot("peak").values()
        return {str(getattr(kind, "name", kind)): size for each in snapshots for kind, size in each.items()}


def training_memory(step: TrainingStep) -> Memory:
    """Of a step that finds the optimizer's state there, and the gradients of an earlier microbatch where it has one.

    Args:
        step: counted before, so that state and gradients are there.
    """
    if step.settings.accumulate == 1:
        step.forget()
    tracker, averages = PeakTracker(), [tensor for average in step.averages for tensor in average]
    tracker.track_external(step.network, step.loss, step.optimizer, *tensors(step.batch), *averages)
    with tracker:
        step.microbatch()
        step.update()
        step.forget()
    held, kept = tracker.parts(), sum(tensor.nbytes for tensor in averages)
    return Memory(
        weights=held["PARAM"] + held["BUFFER"],
        averages=kept,
        gradients=held["GRAD"],
        optimizer=held["OPT"],
        batch=held["OTH"] - kept,
        activations=held["ACT"],
        temporaries=held["TEMP"],
    )


def inference_peak(network: Model, batch: Batch, autocast: AbstractContextManager[Any]) -> int:
    """Bytes at the peak of one step of a rollout."""
    batch = replace(batch, target=None, mask=None)
    network.eval()
    tracker = PeakTracker()
    tracker.track_external(network, *tensors(batch))
    with tracker, torch.no_grad(), autocast:
        Call(partial(network.step, batch), network)()
    network.train()
    return tracker.parts()["Total"]


def tensors(batch: Batch) -> Iterable[Tensor]:
    """Those of a batch."""
    return [tensor for tensor in vars(batch).values() if tensor is not None]
