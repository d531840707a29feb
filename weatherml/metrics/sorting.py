"""Sorting many short rows at once: a network of compare-exchange steps, each over all rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@lru_cache
def comparators(size: int) -> tuple[tuple[int, int], ...]:
    """The pairs (lower, upper) of Batcher's odd-even merge sort, in order (1968, doi:10.1145/1468075.1468121)."""
    pairs = []
    merged = 1  # rows of this length are sorted
    while merged < size:
        apart = merged
        while apart:
            starts = range(apart % merged, size - apart, 2 * apart)
            candidates = (low for start in starts for low in range(start, min(start + apart, size - apart)))
            pairs += [(low, low + apart) for low in candidates if _same_merge(low, apart, merged)]
            apart //= 2
        merged *= 2
    return tuple(pairs)


def _same_merge(low: int, apart: int, merged: int) -> bool:
    """Whether both places belong to the same pair of sorted rows that are merged."""
    return low // (2 * merged) == (low + apart) // (2 * merged)


def sort_rows(rows: list[Array]) -> list[Array]:
    """Sort `rows`, arrays of one shape, point by point: the first holds the smallest. They are changed in place."""
    rows, spare = list(rows), np.empty_like(rows[0])
    for low, high in comparators(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows
