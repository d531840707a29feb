"""One case at a time: read, mask what any of them lacks, and take every metric's statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.variables import Variable
from weatherml.verify.tally import CaseSums, Key
from weatherml.verify.truth import Frames

Array = npt.NDArray[Any]
Cards = dict[str, dict[str, Metric]]
"""By variable, its metrics by name."""
POINTS = 2_000_000  # of one forecast's fields read at once: bounds memory on large grids and many members


class Reader(Protocol):
    """A forecast file or a baseline."""

    @property
    def name(self) -> str:
        """Its name in the scores."""

    @property
    def members(self) -> int:
        """M."""

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """(L, M, H, W) of one variable."""


def score_cards(variables: Sequence[Variable], spacing_km: float | None) -> Cards:
    """Every registered metric that is worth having for each variable."""
    return {
        variable.name: {
            metric.name: metric for kind in METRICS for metric in METRICS[kind].score_card(variable, spacing_km)
        }
        for variable in variables
    }


def score_case(
    readers: Sequence[Reader],
    truth: Frames,
    init_time: np.datetime64,
    lead_times: Array,
    *,
    cards: Cards,
    rows: Tensor,
) -> CaseSums:
    """The statistics of one initial time for all readers on the points that all of them and the truth know."""
    sums: dict[Key, Statistics] = {}
    scored: dict[str, Tensor] = {}
    for variable, card in cards.items():
        parts: dict[tuple[str, str], list[Statistics]] = {}
        known = []
        for leads in lead_chunks(readers, truth[variable].shape):
            forecasts = {
                reader.name: _tensor(reader.read(init_time, lead_times[leads], variable)) for reader in readers
            }
            # one tensor of truth and mask for all forecasts: what metrics derive from them is computed once
            observed = _tensor(truth[variable][leads])
            mask = common_mask(observed, forecasts)
            known.append(mask.any(-1).any(-1).double())
            for key, statistics in score_fields(forecasts, observed, mask, card, rows):
                parts.setdefault(key, []).append(statistics)
        scored[variable] = torch.cat(known)
        sums |= {(name, variable, metric): _join(chunks) for (name, metric), chunks in parts.items()}
    return CaseSums(sums, scored)


def lead_chunks(readers: Sequence[Reader], shape: Sequence[int]) -> Iterator[slice]:
    """Stretches of the leads of fields (L, H, W) of which no reader has more than POINTS values, one lead at least."""
    leads, height, width = shape
    size = max(1, POINTS // (height * width * max(reader.members for reader in readers)))
    return (slice(start, start + size) for start in range(0, leads, size))


def score_fields(
    forecasts: Mapping[str, Fields], truth: Fields, mask: Tensor, card: Mapping[str, Metric], rows: Tensor
) -> Iterator[tuple[tuple[str, str], Statistics]]:
    """Statistics by forecast and metric; those of ensembles only where there are members."""
    for name, forecast in forecasts.items():
        for metric in card.values():
            if not metric.needs_members or forecast.shape[1] > 1:
                yield (name, metric.name), metric.statistics(forecast, truth, mask, rows)


def _join(chunks: Sequence[Statistics]) -> Statistics:
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def common_mask(truth: Fields, forecasts: Mapping[str, Fields]) -> Tensor:
    """(L, H, W), True where truth and every member of every forecast are finite."""
    mask = truth.isfinite()
    for forecast in forecasts.values():
        mask = mask & forecast.isfinite().all(1)
    return mask


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.require(values, dtype=np.float32, requirements=["C", "W"]))
