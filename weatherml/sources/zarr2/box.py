"""The rows and columns wanted of a chunked field, and which chunks hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Place = tuple[Array, Array]
"""Positions of rows and of columns."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of a field, each of them a slice with a start, a stop and a step."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of what is wanted."""
        rows, columns = (len(range(part.start, part.stop, part.step or 1)) for part in (self.rows, self.columns))
        return rows, columns

    def pieces(self, chunk: tuple[int, int]) -> Iterator[tuple[tuple[int, int], Place, Place]]:
        """Each chunk that holds wanted points: its row and column, where they lie in it, and where in the box."""
        axes = zip((self.rows, self.columns), chunk, strict=True)
        for row, column in product(*(list(_parts(part, size)) for part, size in axes)):
            yield (row[0], column[0]), (row[1], column[1]), (row[2], column[2])


def _parts(part: slice, size: int) -> Iterator[tuple[int, Array, Array]]:
    """Chunks of `size` along one axis: number, positions in it, positions in the box."""
    wanted = np.arange(part.start, part.stop, part.step or 1)
    for number in np.unique(wanted // size):
        (here,) = np.nonzero(wanted // size == number)
        yield int(number), wanted[here] - int(number) * size, here
