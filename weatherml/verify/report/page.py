"""What stands on the page, in plain values for the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from weatherml.metrics.base import METRICS
from weatherml.page import fill
from weatherml.variables import Variable
from weatherml.verify.colors import Scale, error_scale, field_scale, spread_scale
from weatherml.verify.example import Example, ExampleFields
from weatherml.verify.report.curves import score_groups, spectrum_charts
from weatherml.verify.report.lines import Line, coast_lines
from weatherml.verify.report.maps import MapFrame, map_frame
from weatherml.verify.report.styles import styles
from weatherml.verify.scores import TRUTH, Headline, Scores, headline_leads, headlines
from weatherml.verify.truth import Truth

Array = npt.NDArray[Any]
Context = dict[str, Any]
TEMPLATE = "template.html.j2"
PACKAGE = "weatherml.verify"
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def render(scores: Scores, example: Example, truth: Truth, lines: Sequence[Line] = ()) -> str:
    """The report as HTML; `lines` are drawn on the maps beside the coast."""
    frame = map_frame(truth.grid, [*coast_lines(truth.land), *lines])
    return fill(PACKAGE, TEMPLATE, page_context(scores, example, truth, frame))


def page_context(scores: Scores, example: Example, truth: Truth, frame: MapFrame) -> Context:
    """Everything that the template shows."""
    rows = headlines(scores)
    look = styles(scores)
    return {
        "title": scores.metadata["title"],
        "forecasts": scores.forecasts,
        "facts": facts(scores),
        "notes": scores.cases.notes,
        "legend": [(name, look[name]) for name in scores.names],
        "truth_name": TRUTH,
        "summary": summary(rows, scores),
        "frame": frame,
        "example": {"init_time": _minute(example.init_time), "forecast": example.forecast, "members": example.members},
        "animation": animation(scores.variables[example.animated], example, frame),
        "sections": [section(name, rows, scores, example, truth=truth, frame=frame) for name in scores.variables],
        "glossary": [(kind, " ".join((METRICS[kind].__doc__ or "").split("\n\n")[0].split())) for kind in METRICS],
    }


def facts(scores: Scores) -> list[tuple[str, str]]:
    """What was scored: label and value."""
    metadata, hours = scores.metadata, scores.cases.lead_hours
    rows, columns = metadata["grid"]
    spacing = f", {metadata['spacing_km']:.3g} km" if metadata["spacing_km"] else ""
    members = [f"{name} {count}" for name, count in metadata["members"].items() if count > 1]
    first, last = (_minute(scores.cases.init_times[end]) for end in (0, -1))
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


def summary(rows: Sequence[Headline], scores: Scores) -> Context | None:
    """RMSE gains over the first baseline, a row each variable and forecast; None without a baseline."""
    if not scores.baselines:
        return None
    baseline = scores.baselines[0]
    table: dict[tuple[str, str], list[Context]] = {}
    for row in rows:
        table.setdefault((row.variable, row.forecast), []).append(gain_cell(row, baseline))
    return {
        "baseline": baseline,
        "leads": [scores.cases.lead_hours[lead] for lead in scores.headline_leads],
        "rows": [
            {"name": name, "label": scores.variables[name].long_name or name, "forecast": forecast, "cells": cells}
            for (name, forecast), cells in table.items()
        ],
    }


def gain_cell(row: Headline, baseline: str) -> Context:
    """A gain in percent, and how strongly to colour it (full at 50 %)."""
    gain = row.gain(baseline)
    known = bool(np.isfinite(gain))
    return {
        "text": f"{gain:+.0f} %".replace("-", MINUS) if known else DASH,
        "side": ("up" if gain >= 0 else "down") if known else "none",
        "strength": round(min(abs(gain) / 50, 1.0), 2) if known else 0,
        "rmse": number(row.baselines[baseline]),
    }


def section(
    name: str, rows: Sequence[Headline], scores: Scores, example: Example, *, truth: Truth, frame: MapFrame
) -> Context:
    """All that is shown of one variable."""
    variable = scores.variables[name]
    return {
        "name": name,
        "label": variable.long_name or name,
        "units": variable.units,
        "headline": [headline_row(row, scores) for row in rows if row.variable == name],
        "baselines": scores.baselines,
        "cases": _range(scores.counts[name]),
        "groups": score_groups(scores, name),
        "spectra": spectrum_charts(scores, name, truth.grid.spacing_km, min(truth.grid.shape)),
        "maps": maps(variable, example, frame),
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


def maps(variable: Variable, example: Example, frame: MapFrame) -> Context:
    """Truth and forecast at the headline leads with their colour bars, beside the error or the members' spread."""
    fields = example.fields[variable.name]
    leads = headline_leads(fields.lead_hours)
    scale = field_scale(variable, np.stack([fields.forecast[leads], fields.truth[leads]]))
    pictures, beside = ensemble_pictures(fields, scale) if example.members > 1 else single_pictures(fields, scale)
    return {
        "titles": list(pictures),
        "bar": bar(scale, variable.units),
        "beside": beside,
        "beside_bar": bar(pictures[beside][1], variable.units),
        "rows": [
            {
                "lead": f"+{fields.lead_hours[lead]:g} h",
                "pictures": [(title, frame.png(values[lead], colors)) for title, (values, colors) in pictures.items()],
            }
            for lead in leads
        ],
    }


def single_pictures(fields: ExampleFields, scale: Scale) -> tuple[dict[str, tuple[Array, Scale]], str]:
    """By title fields and scale, and the title of the one with a scale of its own."""
    error = fields.forecast - fields.truth
    pictures = {"truth": (fields.truth, scale), "forecast": (fields.forecast, scale)}
    return pictures | {"error": (error, error_scale(error))}, "error"


def ensemble_pictures(fields: ExampleFields, scale: Scale) -> tuple[dict[str, tuple[Array, Scale]], str]:
    """As `single_pictures`, of an ensemble."""
    shown = {"truth": fields.truth, "one member": fields.forecast, "mean": fields.mean}
    pictures = {title: (values, scale) for title, values in shown.items()}
    return pictures | {"spread": (fields.spread, spread_scale(fields.spread))}, "spread"


def animation(variable: Variable, example: Example, frame: MapFrame) -> Context:
    """Every lead's truth and forecast as pictures."""
    fields = example.fields[variable.name]
    scale = field_scale(variable, np.stack([fields.forecast, fields.truth]))
    times = example.init_time + (np.array(fields.lead_hours) * 3600).astype("timedelta64[s]")
    return {
        "label": variable.long_name or variable.name,
        "bar": bar(scale, variable.units),
        "frames": [
            {
                "truth": frame.png(fields.truth[lead], scale),
                "forecast": frame.png(fields.forecast[lead], scale),
                "label": f"+{hours:g} h · {_minute(times[lead])} UTC",
            }
            for lead, hours in enumerate(fields.lead_hours)
        ],
    }


def bar(scale: Scale, units: str) -> Context:
    """A colour bar for the template."""
    return {"gradient": scale.gradient, "labels": scale.labels, "units": units}


def number(value: float) -> str:
    """Three figures; a dash for NaN."""
    return f"{value:.3g}" if np.isfinite(value) else DASH


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
