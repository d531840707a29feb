"""Which of an optimizer step's cases a process computes, and in what portions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor

from weatherml.errors import ConfigError
from weatherml.fields import Batch


@dataclass(frozen=True, kw_only=True)
class Share:
    """A step is `accumulate` microbatches, each cut into equal `pieces`; they are dealt out to the processes in turn.

    The effective batch, its cases and their augmentation are the same however many processes and pieces there are.

    Attributes:
        batch: cases in a microbatch.
        accumulate: microbatches of a step.
        pieces: of a microbatch; each is one pass through the network.
        rank: this process.
        size: all processes.
    """

    batch: int
    accumulate: int = 1
    pieces: int = 1
    rank: int = 0
    size: int = 1

    @classmethod
    def of(cls, batch: int, accumulate: int, *, rank: int = 0, size: int = 1, pieces: int = 1) -> Share:
        """The share with the fewest pieces, `pieces` at least, that gives every process the same work.

        Raises:
            ConfigError: the processes do not divide the effective batch.
        """
        for count in range(pieces, batch + 1):
            if batch % count == 0 and accumulate * count % size == 0:
                return cls(batch=batch, accumulate=accumulate, pieces=count, rank=rank, size=size)
        raise ConfigError(
            f"{size} processes: do not divide a step of train.batch * train.accumulate = {batch} * {accumulate} cases; "
            f"make it a multiple of {size}"
        )

    @property
    def weight(self) -> float:
        """Of a piece's mean loss in this process's part of the step's; the mean over processes is the step's."""
        return self.size / (self.accumulate * self.pieces)

    def microbatches(self, step: int) -> list[tuple[int, tuple[int, ...]]]:
        """Number in the run, and this process's pieces, of each microbatch of step `step`."""
        first = step * self.accumulate
        dealt = [(first + k, piece) for k in range(self.accumulate) for piece in range(self.pieces)]
        return [(n, tuple(p for _, p in group)) for n, group in groupby(dealt[self.rank :: self.size], itemgetter(0))]

    def smaller(self) -> Share | None:
        """The same step in smaller pieces; None where a piece is one case already."""
        return None if self.pieces == self.batch else self.of(**vars(self) | {"pieces": self.pieces + 1})

    def cut(self, batch: Batch, piece: int) -> Batch:
        """One piece of a microbatch."""
        if self.pieces == 1:
            return batch
        cases = slice(piece * self.batch // self.pieces, (piece + 1) * self.batch // self.pieces)
        parts = {name: tensor[cases] for name, tensor in vars(batch).items() if _by_case(name, tensor)}
        return replace(batch, **parts)


def _by_case(name: str, tensor: Tensor | None) -> bool:
    return tensor is not None and name != "static"


def seed_noise(seed: int, number: int, piece: int) -> None:
    """Let dropout and noise follow from (seed, microbatch, piece), so that resuming needs only the step."""
    torch.manual_seed(int(np.random.SeedSequence([seed, 3, number, piece]).generate_state(1)[0]))
