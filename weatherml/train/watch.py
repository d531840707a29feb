"""What is kept of a training run beside its weights: metrics, events, a log; and what the user is shown."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from weatherml.files import readable_size, write_text
from weatherml.run.directory import METRICS

LOG_EVERY = 20


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where training stands, for a progress display.

    Attributes:
        step: optimizer steps done.
        steps: of how many.
        loss: mean over the last steps.
        skill: latest validation skill in a few words; empty before the first.
        memory_bytes: peak of the device's memory; 0 on the CPU.
    """

    step: int
    steps: int
    loss: float
    skill: str
    memory_bytes: int

    @property
    def note(self) -> str:
        """Loss, skill and memory in a few words."""
        skill = f", {self.skill}" if self.skill else ""
        memory = f", {readable_size(self.memory_bytes)}" if self.memory_bytes else ""
        return f"loss {self.loss:.4f}{skill}{memory}"


Display = Callable[[Report], None]


def no_display(report: Report) -> None:
    """A display that shows nothing."""


@dataclass
class Journal:
    """metrics.jsonl and TensorBoard events of a run."""

    path: Path
    events: SummaryWriter = field(init=False)

    def __post_init__(self) -> None:
        self.events = SummaryWriter(str(self.path / "tensorboard"))

    def rewind(self, step: int, *, measured: bool) -> None:
        """Drop what was written after `step`, and of that step its skill if it was not `measured`: it comes again."""

        def stays(line: str) -> bool:
            found = json.loads(line) if line.endswith("\n") else {"step": math.inf}
            return bool(found["step"] < step or (found["step"] == step and (measured or "loss" in found)))

        file = self.path / METRICS
        if file.exists():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(file, "".join(filter(stays, lines)))

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one line, and its numbers to TensorBoard."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, int | float):
                self.events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the events."""
        self.events.close()


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Everything that is logged within, debug lines and tracebacks included, goes to the run's log.txt too."""
    handler = logging.FileHandler(path / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("weatherml")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    except BaseException:
        root.debug("stopped here", exc_info=True)
        raise
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


class Stopwatch:
    """True once every so many minutes."""

    def __init__(self, minutes: float) -> None:
        self.seconds = minutes * 60
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether the time is up; if so it begins anew."""
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class Meetings:
    """Steps, some seconds apart, at which several processes hear from the first whether to save or to stop.

    Args:
        step: the first of them.

    Attributes:
        next: the same in all processes, since the first one says it.
    """

    SECONDS, MOST_STEPS = 5.0, LOG_EVERY

    def __init__(self, step: int) -> None:
        self.next = self.last = step
        self.time = time.monotonic()

    def following(self, step: int) -> int:
        """The step of the meeting after this one at `step`, by the pace since the last."""
        now = time.monotonic()
        steps, seconds = step - self.last, now - self.time
        self.last, self.time = step, now
        return step + min(self.MOST_STEPS, max(1, int(steps * self.SECONDS / max(seconds, 1e-9))))


class Pace:
    """Turns a length in minutes into a number of steps, from the pace of the first ones, and again as that changes.

    A machine has no constant pace: other work comes and goes, and a processor that was idle is swift at first.

    Args:
        minutes: the length; None where the number of steps is known.
        step: the number of steps already done.
        average: what a step takes on average over the run, in units of one of the first.
        alike: the share of the run, from its begin on, in which a step takes as long as one of the first.
    """

    SKIPPED, MEASURED = 10, 30
    """The first steps compile, allocate and fill caches. The next are measured, then as many again as were."""

    def __init__(self, minutes: float | None, step: int, *, average: float = 1.0, alike: float = 1.0) -> None:
        self.minutes, self.average, self.alike = minutes, average, alike
        self.began, self.ends = step + self.SKIPPED, step + self.SKIPPED + self.MEASURED
        self.mark, self.next = step, self.began
        self.started = self.marked = time.monotonic()

    def asks(self, step: int, steps: int) -> bool:
        """Whether `steps` is to be called now, in a run of `steps` steps as far as is known."""
        early = step <= self.ends or step <= self.alike * steps
        return self.minutes is not None and step == self.next and early

    def steps(self, step: int) -> int | None:
        """The number of steps of the run; None where measuring only begins. To be called when it `asks`."""
        assert self.minutes is not None
        now = time.monotonic()
        measured, took = step - self.mark, now - self.marked
        self.mark, self.marked = step, now
        self.next = self.ends if step == self.began else 2 * step - self.began
        if step == self.began:
            return None
        left = (self.minutes * 60 - (now - self.started)) * measured / took
        return max(step + 1, int((step + left) / self.average))


def peak_memory(device: torch.device) -> int:
    """The largest allocation so far on a GPU, in bytes; 0 on the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
