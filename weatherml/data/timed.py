"""What reading a time takes, measured where it is read.

The processes that read import this module: nothing heavy stands here.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.packing import Packing
from weatherml.data.quality import Checked, check_and_pack
from weatherml.sources.base import Description, Frame
from weatherml.sources.source import Wrapper

Array = npt.NDArray[Any]
SECONDS = "seconds"


class Timed(Wrapper):
    """A source whose frames carry the seconds that reading them took."""

    def describe(self) -> Description:
        """That of the wrapped source."""
        return self.source.describe()

    def read(self, times: Array) -> Iterator[Frame]:
        """The frames of the wrapped source."""
        began = clock.perf_counter()
        for frame in self.source.read(times):
            yield frame | {SECONDS: np.array(clock.perf_counter() - began)}
            began = clock.perf_counter()


def measured(
    frame: Frame, description: Description, packings: tuple[Packing, ...], tile: int | None
) -> tuple[Checked, float]:
    """The packed fields, and the seconds from the file up to here."""
    began = clock.perf_counter()
    checked = check_and_pack(frame, description.variables, packings, tile)
    return checked, float(frame[SECONDS]) + clock.perf_counter() - began
