"""Numbers, times, metrics, colour bars and shades as the page says them."""

from __future__ import annotations

from typing import Any

import numpy as np

from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric
from weatherml.metrics.neighbourhood import NeighbourhoodMetric
from weatherml.verify.colors import Scale

Context = dict[str, Any]
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
SHORT = {"spread_skill_ratio": "Spread / skill", "bias": "Bias"}
"""Of metrics that are no abbreviations."""


def number(value: float) -> str:
    """Three figures; a dash for NaN."""
    return f"{value:.3g}" if np.isfinite(value) else DASH


def minute(time: np.datetime64) -> str:
    """`2018-07-22 01:00`."""
    return str(time.astype("datetime64[m]")).replace("T", " ")


def capital(label: str) -> str:
    """With its first letter large, abbreviations as they are."""
    return label[:1].upper() + label[1:]


def bar(scale: Scale, units: str) -> Context:
    """A colour bar for the template."""
    return {"colors": scale.bar, "labels": scale.labels, "units": "" if units == "1" else units}


def shade(value: float, full: float) -> Context:
    """How a cell is coloured: by the side of 0 on which a value lies, the more strongly the nearer to `full`."""
    if not np.isfinite(value):
        return {"side": "none", "strength": 0}
    return {"side": "up" if value >= 0 else "down", "strength": round(min(abs(value) / full, 1.0), 2)}


def event(threshold: float, units: str, side: str) -> str:
    """`≥ 40 dBZ`."""
    return f"{'≥' if side == 'above' else '≤'} {threshold:g} {units}"


def metric_label(metric: Metric) -> str:
    """`RMSE`, `CSI ≥ 40 dBZ`, `FSS ≥ 40 dBZ, 27 km`."""
    label = SHORT.get(metric.kind, metric.kind.upper())
    if not isinstance(metric, EventMetric):
        return label
    return f"{label} {event(metric.threshold, metric.units_of_threshold, metric.side)}{_width(metric)}"


def _width(metric: EventMetric) -> str:
    if not isinstance(metric, NeighbourhoodMetric):
        return ""
    return f", {metric.width} cells" if metric.spacing_km is None else f", {metric.width * metric.spacing_km:.3g} km"
