"""What a run's training writes: status, metrics, events and checkpoints. One process of several does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weatherml.errors import BadDataError, StoppedError, WMLError, reason
from weatherml.nn.tally import Tally
from weatherml.run import checkpoint
from weatherml.run.checkpoint import AGAIN, Checkpoint
from weatherml.run.directory import Run
from weatherml.train.skill import Skill
from weatherml.train.watch import Journal

LEAST = {"steps": 0, "step": 0, "stale": 0, "rollbacks": 0, "pieces": 1}
"""The least that the counts of `Progress` may be."""


@dataclass(kw_only=True)
class Progress:
    """Where training stands, beside weights and optimizer: what a checkpoint must hold for the same bits.

    Attributes:
        steps: of the whole run.
        paced: whether `steps` is known; a run by the clock learns its own, and goes on with it when it is resumed.
        step: done.
        best: the best validation score so far.
        stale: validations since.
        rollbacks: returns to a checkpoint after a loss that was not finite.
        pieces: into which microbatches are cut, to fit the memory.
        measured: whether the skill at this step is known, if it is to be: not where a signal came meanwhile.
        losses: of the steps since the last that was logged; on the device.
        sums: of the tallies of model and loss.
    """

    steps: int
    paced: bool
    step: int = 0
    best: float | None = None
    stale: int = 0
    rollbacks: int = 0
    pieces: int = 1
    measured: bool = True
    losses: list[Tensor] = field(default_factory=list)
    sums: list[Any] = field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return vars(self) | {"losses": [float(loss) for loss in self.losses]}

    @classmethod
    def of(cls, saved: Checkpoint, path: Path) -> Progress:
        """The progress that `settings` wrote into a checkpoint of the run at `path`.

        Raises:
            BadDataError: it holds anything else.
        """
        try:
            losses = [torch.tensor(float(loss)) for loss in saved.progress["losses"]]
            progress = cls(**saved.progress | {"step": saved.step, "losses": losses})
            for name, least in LEAST.items():
                if not isinstance(count := getattr(progress, name), int) or count < least:
                    raise ValueError(f"{name} is {count!r:.80}")
        except (LookupError, TypeError, ValueError) as error:
            raise BadDataError(f"{path}: where step {saved.step} stands does not read ({error}); {AGAIN}") from None
        return progress

    def fill(self, tallies: Sequence[Tally], path: Path) -> None:
        """Give tallies the sums that a checkpoint of the run at `path` kept of them; early ones kept none.

        Raises:
            BadDataError: they are no such sums.
        """
        try:
            for tally, sums in zip(tallies, self.sums, strict=False):
                tally.sums.copy_(torch.tensor(sums))
        except (TypeError, ValueError, RuntimeError) as error:
            raise BadDataError(f"{path}: the sums of its checkpoint do not fit ({reason(error)}); {AGAIN}") from None


class Record:
    """Writes into a run; its status says how the block within went."""

    def __init__(self, run: Run) -> None:
        self.run, self.journal = run, Journal(run.path)

    def __enter__(self) -> Record:
        """Begin."""
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Say in the status how it ended, and flush the events."""
        if isinstance(error, WMLError | torch.OutOfMemoryError):
            stopped = isinstance(error, StoppedError)
            self.status(state="stopped" if stopped else "failed", error=str(error))
        self.close()

    def status(self, **changes: Any) -> None:
        """Update status.json."""
        self.run.set_status(**changes)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append to the metrics."""
        self.journal.write(step, values)

    def rewind(self, step: int, *, measured: bool) -> None:
        """Drop the metrics after `step`, and its skill if it was not `measured`."""
        self.journal.rewind(step, measured=measured)

    def save(self, state: Checkpoint, *, name: str | None = None) -> None:
        """Write a checkpoint, by its step unless it has a name."""
        checkpoint.save(self.run.checkpoints, state, name=name)

    def save_best(self, step: int, model: nn.Module) -> None:
        """Keep a model's weights as the ones to forecast with."""
        self.save(
            Checkpoint(step=step, weights={}, average=model.state_dict(), optimizer=None, progress={}), name="best"
        )

    def finished(self, step: int, skill: Skill | None) -> None:
        """Say that the run is at its end, and how good it is; a run that only went on there keeps its skill."""
        measured = {"skill": skill.ratio, "reference": skill.reference} if skill else {}
        self.status(state="finished", step=step, **measured)

    def close(self) -> None:
        """Flush the events."""
        self.journal.close()


class NoRecord(Record):
    """Writes nothing: another process does."""

    def __init__(self) -> None:
        """Open nothing."""

    def status(self, **changes: Any) -> None:
        """Nothing."""

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Nothing."""

    def rewind(self, step: int, *, measured: bool) -> None:
        """Nothing."""

    def save(self, state: Checkpoint, *, name: str | None = None) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
