"""What a dataset has taken in of its source so far: all that is needed, beside its arrays, to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.files import read_json, write_json

Array = npt.NDArray[Any]
PROGRESS = "progress.json"


@dataclass(kw_only=True)
class Consumed:
    """The times taken in, and what was found at them.

    Attributes:
        times: those in the store, in order.
        quarantined: those that were read and left out, `stamp` and reason, in order.
        findings: what the quality checks found, for quality.json, in order of `time`.
    """

    times: list[np.datetime64] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, store: Path) -> Consumed:
        """What the progress file of an unfinished store says."""
        state = read_json(store / PROGRESS)
        return cls(**state | {"times": [np.datetime64(time, "s") for time in state["times"]]})

    def write(self, store: Path) -> None:
        """Write the progress file."""
        state = {"times": [str(time) for time in self.times]}
        write_json(store / PROGRESS, state | {"quarantined": self.quarantined, "findings": self.findings})

    def __len__(self) -> int:
        return len(self.times) + len(self.quarantined)

    @property
    def all_times(self) -> Array:
        """(n,) datetime64[s], stored or left out, in order."""
        return np.sort(np.array([*self.times, *map(unstamp, self.quarantined)], dtype="datetime64[s]"))

    def cut(self, count: int) -> tuple[Consumed, Consumed]:
        """The first `count` stored times with all that came up to the last of them, and the rest."""
        last = self.times[count - 1] if count else np.datetime64("0000", "s")
        early, late = (
            Consumed(
                times=times,
                quarantined={at: why for at, why in self.quarantined.items() if (unstamp(at) <= last) == before},
                findings=[each for each in self.findings if (unstamp(each["time"]) <= last) == before],
            )
            for times, before in ((self.times[:count], True), (self.times[count:], False))
        )
        return early, late


def stamp(time: np.datetime64) -> str:
    """A time as the quality report writes it, ISO 8601 UTC."""
    return f"{time}Z"


def unstamp(text: str) -> np.datetime64:
    """The inverse of `stamp`."""
    return np.datetime64(text.removesuffix("Z"), "s")
