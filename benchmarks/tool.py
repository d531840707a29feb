"""The tool as a user runs it, and what it costs."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(kw_only=True)
class Cost:
    """What some work took; processor time tells the truth on a machine with other work too.

    Attributes:
        wall_s: seconds by the clock.
        cpu_s: seconds of processors.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def timed() -> Iterator[Cost]:
    """The cost, once the block has ended, of all that it did, finished child processes included."""
    cost, wall, cpu = Cost(), time.monotonic(), _cpu_s()
    yield cost
    cost.wall_s, cost.cpu_s = round(time.monotonic() - wall, 1), round(_cpu_s() - cpu, 1)


def _cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def wml(*arguments: object) -> Cost:
    """Run one command of the tool; its heartbeat goes to stderr, what it prints too."""
    command = [str(Path(sys.executable).with_name("wml")), *map(str, arguments)]
    with timed() as cost:
        subprocess.run(command, check=True, stdout=sys.stderr)
    return cost


def settings(assignments: Sequence[str]) -> list[str]:
    """`--set K=V` for each K=V."""
    return [part for assignment in assignments for part in ("--set", assignment)]
