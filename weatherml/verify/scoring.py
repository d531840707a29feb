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
POINTS = 2_000_000  # of one forecast's fields at once: bounds memory on large grids and many members


class Reader(Protocol):
    """A forecast file or a baseline."""

    @property
    def name(self) -> str:
        """Its name in the scores."""

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
        forecasts = {reader.name: _tensor(reader.read(init_time, lead_times, variable)) for reader in readers}
        observed = _tensor(truth[variable])
        mask = common_mask(observed, forecasts)
        scored[variable] = mask.any(-1).any(-1).double()
        for (name, metric), statistics in score_fields(forecasts, observed, mask, card, rows).items():
            sums[name, variable, metric] = statistics
    return CaseSums(sums, scored)


def score_fields(
    forecasts: Mapping[str, Fields], truth: Fields, mask: Tensor, card: Mapping[str, Metric], rows: Tensor
) -> dict[tuple[str, str], Statistics]:
    """Statistics by forecast and metric, a few leads at a time."""
    parts: dict[tuple[str, str], list[Statistics]] = {}
    for leads in lead_chunks(list(forecasts.values())):
        # one tensor of truth and mask for all forecasts: what metrics derive from them is computed once
        observed, known = truth[leads], mask[leads]
        for name, fields in forecasts.items():
            forecast = fields[leads]
            for metric in card.values():
                if not metric.needs_members or forecast.shape[1] > 1:
                    statistics = metric.statistics(forecast, observed, known, rows)
                    parts.setdefault((name, metric.name), []).append(statistics)
    return {key: {name: torch.cat([part[name] for part in found]) for name in found[0]} for key, found in parts.items()}


def lead_chunks(forecasts: Sequence[Fields]) -> Iterator[slice]:
    """Stretches of leads of which no forecast has more than POINTS values."""
    leads = forecasts[0].shape[0]
    size = max(1, POINTS // max(forecast[0].numel() for forecast in forecasts))
    return (slice(start, start + size) for start in range(0, leads, size))


def common_mask(truth: Fields, forecasts: Mapping[str, Fields]) -> Tensor:
    """(L, H, W), True where truth and every member of every forecast are finite."""
    mask = truth.isfinite()
    for forecast in forecasts.values():
        mask = mask & forecast.isfinite().all(1)
    return mask


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.require(values, dtype=np.float32, requirements=["C", "W"]))
