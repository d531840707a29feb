"""The statistics of many scores side by side in one table, so that cases add up in one go and lie in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from weatherml.metrics.base import Statistics

Key: TypeAlias = tuple[str, str, str]
"""(forecast, variable, metric)"""


@dataclass(frozen=True)
class Columns:
    """Where the statistics of each key lie in a table (..., L, columns).

    Attributes:
        spans: by key and statistic the first column and the number of bins, which is 0 of a plain number.
    """

    spans: dict[Key, dict[str, tuple[int, int]]]

    def of(self, table: Tensor, key: Key) -> Statistics:
        """The statistics of one key, (..., L) or (..., L, bins)."""
        return {
            name: table[..., first : first + bins] if bins else table[..., first]
            for name, (first, bins) in self.spans[key].items()
        }

    def plain(self) -> list[Any]:
        """As JSON."""
        return [[*key, spans] for key, spans in self.spans.items()]

    @classmethod
    def from_plain(cls, entries: list[Any]) -> Columns:
        """From JSON."""
        return cls({tuple(key): {name: tuple(span) for name, span in spans.items()} for *key, spans in entries})


def pack(sums: Mapping[Key, Statistics]) -> tuple[Columns, Tensor]:
    """Statistics (L,) or (L, bins) as one table (L, columns) float64."""
    spans: dict[Key, dict[str, tuple[int, int]]] = {}
    pieces, first = [], 0
    for key, statistics in sums.items():
        for name, value in statistics.items():
            piece = value.double() if value.ndim > 1 else value.double().unsqueeze(-1)
            spans.setdefault(key, {})[name] = (first, piece.shape[1] if value.ndim > 1 else 0)
            pieces.append(piece)
            first += piece.shape[1]
    return Columns(spans), torch.cat(pieces, dim=1)
