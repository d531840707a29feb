"""One case at a time: read, mask what any of them lacks, and take every metric's statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import METRICS, Metric, Statistics
from weatherml.metrics.blocks import by_points
from weatherml.metrics.once import once
from weatherml.metrics.reduce import ensemble_mean
from weatherml.variables import Variable
from weatherml.verify.files.truth import Frames
from weatherml.verify.scoring.columns import Key

Array = npt.NDArray[Any]
Cards = dict[str, dict[str, Metric]]
"""By variable, its metrics by name."""
Sums: TypeAlias = dict[Key, Statistics]
POINTS = 2_000_000  # of one forecast's fields read at once: bounds memory on large grids and many members
TRUTH, CASES = "truth", "cases"
"""Under (TRUTH, variable, CASES) stands whether a lead was scored, and under a forecast's name what it lacks."""


class Reader(Protocol):
    """A forecast file or a baseline."""

    @property
    def name(self) -> str:
        """Its name in the scores."""

    @property
    def variables(self) -> list[str]:
        """What it forecasts; a baseline may lack some."""

    @property
    def members(self) -> int:
        """M."""

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """(L, M, H, W) of one variable."""


@dataclass(frozen=True)
class CaseSums:
    """The statistics of one case, each (L, ...).

    Attributes:
        conditional: of the metrics that are asked under conditions too.
        others: of the rest.
        regions: by region, the first ones on its points alone.
    """

    conditional: Sums = field(default_factory=dict)
    others: Sums = field(default_factory=dict)
    regions: dict[str, Sums] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """One variable at some leads, as a metric sees it.

    Attributes:
        forecasts: by name, (L, M, H, W).
        truth: (L, H, W).
        mask: (L, H, W) bool, True where truth and every member of every forecast are known.
    """

    forecasts: Mapping[str, Fields]
    truth: Fields
    mask: Tensor

    def within(self, region: Tensor) -> View:
        """The points of a region (H, W) alone."""
        return replace(self, mask=self.mask & region)

    def less(self, normal: Fields) -> View:
        """Departures of the members' means, (L, 1, H, W), and of the truth from a climatology (L, H, W)."""
        forecasts = {name: (ensemble_mean(values) - normal).unsqueeze(1) for name, values in self.forecasts.items()}
        return View(forecasts, self.truth - normal, self.mask & normal.isfinite())


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
    regions: Mapping[str, Tensor] | None = None,
    climatology: Reader | None = None,
) -> CaseSums:
    """The statistics of one initial time for all readers on the points that all of them and the truth know.

    Args:
        readers: forecasts and baselines.
        truth: (L, H, W) by variable.
        init_time: of the case.
        lead_times: (L,).
        cards: the metrics; those of anomalies want a `climatology`.
        rows: (H,) area weights.
        regions: by name, (H, W) bool.
        climatology: what anomalies are departures from.
    """
    found: dict[str | None, dict[Key, list[Statistics]]] = {}
    regions = regions or {}
    for variable, card in cards.items():
        able = [reader for reader in readers if variable in reader.variables]
        of_part = {name: metric for name, metric in card.items() if metric.by_condition}
        for leads in lead_chunks(able, truth[variable].shape):
            read = (init_time, lead_times[leads], variable)
            # one tensor of truth and mask for all forecasts: what metrics derive from them is computed once
            view = read_view(able, truth[variable][leads], *read)
            views = {False: view}
            if climatology and any(metric.of_anomalies for metric in card.values()):
                views[True] = view.less(_tensor(climatology.read(*read)[:, 0]))
            _collect(found.setdefault(None, {}), variable, [*score_fields(views, card, rows), *lacking(view)])
            for name, region in regions.items():
                inside = {anomalies: each.within(region) for anomalies, each in views.items()}
                _collect(found.setdefault(name, {}), variable, score_fields(inside, of_part, rows))
    return _case_sums({where: _joined(parts) for where, parts in found.items()}, cards)


def lead_chunks(readers: Sequence[Reader], shape: Sequence[int]) -> Iterator[slice]:
    """Stretches of the leads of fields (L, H, W) of which no reader has more than POINTS values, one lead at least."""
    leads, height, width = shape
    size = max(1, POINTS // (height * width * max(reader.members for reader in readers)))
    return (slice(start, start + size) for start in range(0, leads, size))


def read_view(
    readers: Sequence[Reader], truth: Array, init_time: np.datetime64, lead_times: Array, variable: str
) -> View:
    """Read some leads of a variable, and find what all know."""
    forecasts = {reader.name: _tensor(reader.read(init_time, lead_times, variable)) for reader in readers}
    observed = _tensor(truth)
    return View(forecasts, observed, common_mask(observed, forecasts))


def score_fields(
    views: Mapping[bool, View], card: Mapping[str, Metric], rows: Tensor
) -> Iterator[tuple[str, str, Statistics]]:
    """Statistics by forecast and metric; those of ensembles only where there are members.

    Args:
        views: the values, and under True the anomalies.
        card: the metrics by name.
        rows: (H,) area weights.
    """
    whole = views[False]
    yield TRUTH, CASES, {"scored": _anywhere(whole.mask)}
    for name, forecast in whole.forecasts.items():
        for metric in card.values():
            if not metric.needs_members or forecast.shape[1] > 1:
                view = views[metric.of_anomalies]
                yield name, metric.name, metric.statistics(view.forecasts[name], view.truth, view.mask, rows)


def lacking(view: View) -> Iterator[tuple[str, str, Statistics]]:
    """By forecast, whether a lead lacks some of the points that the truth has, or all of them."""
    seen = view.truth.isfinite()
    for name, forecast in view.forecasts.items():
        kept = seen & known_to_all(forecast)
        some, less = _anywhere(kept), _anywhere(seen & ~kept)
        yield name, CASES, {"incomplete": some * less, "lost": (1 - some) * less}


@once
def known_to_all(forecast: Fields) -> Tensor:
    """Where every member (L, M, H, W) is finite: (L, H, W) bool."""
    return torch.from_numpy(by_points(lambda members: np.isfinite(members).all(0), forecast, dtype=np.bool_))


def common_mask(truth: Fields, forecasts: Mapping[str, Fields]) -> Tensor:
    """(L, H, W), True where truth and every member of every forecast are finite."""
    mask = truth.isfinite()
    for forecast in forecasts.values():
        mask = mask & known_to_all(forecast)
    return mask


def _anywhere(mask: Tensor) -> Tensor:
    return mask.flatten(1).any(1).double()


def _collect(into: dict[Key, list[Statistics]], variable: str, found: Iterable[tuple[str, str, Statistics]]) -> None:
    for name, metric, statistics in found:
        into.setdefault((name, variable, metric), []).append(statistics)


def _joined(parts: Mapping[Key, Sequence[Statistics]]) -> Sums:
    return {
        key: {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]} for key, chunks in parts.items()
    }


def _case_sums(found: dict[str | None, Sums], cards: Cards) -> CaseSums:
    """The whole grid's statistics apart by whether conditions ask for them; the regions' beside them."""
    case = CaseSums(regions={name: sums for name, sums in found.items() if name is not None})
    for key, statistics in found[None].items():
        name, variable, metric = key
        asked = name == TRUTH if metric == CASES else cards[variable][metric].by_condition
        (case.conditional if asked else case.others)[key] = statistics
    return case


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.require(values, dtype=np.float32, requirements=["C", "W"]))
