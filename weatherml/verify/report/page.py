"""What stands on the page, in plain values for the template."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from weatherml.metrics.base import METRICS
from weatherml.page import fill
from weatherml.verify.example import Gallery
from weatherml.verify.files.truth import Truth
from weatherml.verify.report.card import FULL, score_card
from weatherml.verify.report.curves import condition_groups, score_groups
from weatherml.verify.report.gallery import animation, maps, ranked_maps
from weatherml.verify.report.lines import Line, coast_lines
from weatherml.verify.report.maps import MapFrame, map_frame
from weatherml.verify.report.performance import performance_charts
from weatherml.verify.report.spectra import spectrum_charts
from weatherml.verify.report.styles import styles
from weatherml.verify.report.words import DASH, MINUS, Context, capital, minute, number, shade
from weatherml.verify.scores.scores import TRUTH, Headline, Scores, headlines

TEMPLATE = "template.html.j2"
PACKAGE = "weatherml.verify"


def render(scores: Scores, gallery: Gallery, store: Truth, lines: Sequence[Line] = ()) -> str:
    """The report as HTML; `lines` are drawn on the maps beside the coast."""
    frame = map_frame(store.grid, [*coast_lines(store.land), *lines])
    return fill(PACKAGE, TEMPLATE, page_context(scores, gallery, store, frame))


def page_context(scores: Scores, gallery: Gallery, store: Truth, frame: MapFrame) -> Context:
    """Everything that the template shows."""
    rows = headlines(scores)
    look = styles(scores)
    animated = scores.variables[gallery.animated]
    return {
        "title": scores.metadata["title"],
        "forecasts": scores.forecasts,
        "facts": facts(scores),
        "notes": scores.cases.notes,
        "looks": [(name, look[name]) for name in scores.names],
        "truth_name": TRUTH,
        "card": score_card(scores),
        "frame": frame,
        "forecast": gallery.forecast,
        "init_time": minute(gallery.spotlight.init_time),
        "animation": animation(animated, gallery, frame),
        "ranked": ranked_maps(animated, gallery, frame),
        "sections": [section(name, rows, scores, gallery, store=store, frame=frame) for name in scores.variables],
        "glossary": [(kind, " ".join((METRICS[kind].__doc__ or "").split("\n\n")[0].split())) for kind in METRICS],
    }


def facts(scores: Scores) -> list[tuple[str, str]]:
    """What was scored: label and value."""
    metadata, hours = scores.metadata, scores.cases.lead_hours
    rows, columns = metadata["grid"]
    spacing = f", {metadata['spacing_km']:.3g} km" if metadata["spacing_km"] else ""
    members = [f"{name} {count}" for name, count in metadata["members"].items() if count > 1]
    first, last = (minute(scores.cases.init_times[end]) for end in (0, -1))
    return [
        ("Cases", f"{metadata['init_times']}"),
        ("Initial times", f"{first} to {last} UTC"),
        ("Leads", f"{hours[0]:g} to {hours[-1]:g} h, {len(hours)} of them"),
        ("Grid", f"{rows} x {columns}{spacing}"),
        ("Baselines", ", ".join(scores.baselines) or "none"),
        *([("Members", ", ".join(members))] if members else []),
        ("Intervals", "5 to 95 %, blocks of 24 h resampled" if _has_intervals(scores) else "none: under two days"),
    ]


def _has_intervals(scores: Scores) -> bool:
    name, variable = scores.forecasts[0], next(iter(scores.variables))
    return bool(scores.curves[name][variable]["rmse"].low.isfinite().any())


def section(
    name: str, rows: Sequence[Headline], scores: Scores, gallery: Gallery, *, store: Truth, frame: MapFrame
) -> Context:
    """All that is shown of one variable."""
    variable = scores.variables[name]
    return {
        "name": name,
        "label": capital(variable.long_name or name),
        "units": variable.units,
        "headline": [headline_row(row, scores) for row in rows if row.variable == name],
        "baselines": scores.baselines,
        "cases": _range(scores.counts[name]),
        "groups": score_groups(scores, name),
        "conditions": condition_groups(scores, name),
        "performance": performance_charts(scores, name),
        "spectra": spectrum_charts(scores, name, store.grid.spacing_km, min(store.grid.shape)),
        # the ranked cases show the maps of the animated variable
        "maps": None
        if name == gallery.animated and gallery.ranked
        else maps(variable, gallery.spotlight, gallery.members, frame),
    }


def _range(counts: Tensor) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def headline_row(row: Headline, scores: Scores) -> Context:
    """RMSE at one lead beside every baseline's."""
    return {
        "forecast": row.forecast,
        "lead": f"{row.lead_hours:g} h",
        "rmse": number(row.rmse),
        "cells": [gain_cell(row, baseline) for baseline in scores.baselines],
    }


def gain_cell(row: Headline, baseline: str) -> Context:
    """A gain in percent, and how strongly to colour it."""
    gain = row.gain(baseline)
    return {
        "text": f"{gain:+.0f} %".replace("-", MINUS) if np.isfinite(gain) else DASH,
        **shade(gain, 100 * FULL),
        "rmse": number(row.baselines[baseline]),
    }
