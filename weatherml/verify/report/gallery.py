"""The cases as pictures: maps at a few leads, and the animation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.variables import Variable
from weatherml.verify.colors import Scale, error_scale, field_scale, probability_scale, spread_scale
from weatherml.verify.example import Example, ExampleFields, Gallery, middle_threshold
from weatherml.verify.report.maps import MapFrame
from weatherml.verify.report.words import bar, capital, event, minute, number
from weatherml.verify.scores.scores import TRUTH, headline_leads

Array = npt.NDArray[Any]
Context = dict[str, Any]
PIXELS = 320  # the longest side of a map among many, which the page shows at 250


@dataclass(frozen=True)
class Picture:
    """Fields (l, H, W) of one kind, their colours and units."""

    values: Array
    scale: Scale
    units: str


Pictures = dict[str, Picture]
"""By title; the truth comes first."""


def ranked_maps(variable: Variable, gallery: Gallery, frame: MapFrame) -> list[Context]:
    """Maps of the best, the median and the worst case, with what makes them so."""
    what = "CRPS" if gallery.members > 1 else "mean absolute error"
    return [
        {
            "rank": f"{capital(rank)} case",
            "when": f"{minute(case.init_time)} UTC, {what} {number(case.error)} {variable.units}",
            "maps": maps(variable, case, gallery.members, frame),
        }
        for rank, case in gallery.ranked.items()
    ]


def maps(variable: Variable, case: Example, members: int, frame: MapFrame) -> Context:
    """Truth and forecast at the headline leads with their colour bars, beside the error or the members' spread."""
    fields = case.fields[variable.name]
    leads = headline_leads(fields.lead_hours)
    scale = field_scale(variable, np.stack([fields.forecast[leads], fields.truth[leads]]))
    pictures = (ensemble_pictures if members > 1 else single_pictures)(variable, fields, scale)
    return {
        "titles": list(pictures),
        "bars": bars(variable, pictures),
        "rows": [
            {
                "label": f"+{fields.lead_hours[lead]:g} h",
                "pictures": [
                    (title, frame.png(shown.values[lead], shown.scale, pixels=PIXELS))
                    for title, shown in pictures.items()
                ],
            }
            for lead in leads
        ],
    }


def single_pictures(variable: Variable, fields: ExampleFields, scale: Scale) -> Pictures:
    """Truth, forecast and error."""
    error = fields.forecast - fields.truth
    return {
        TRUTH: Picture(fields.truth, scale, variable.units),
        "forecast": Picture(fields.forecast, scale, variable.units),
        "error": Picture(error, error_scale(error), variable.units),
    }


def ensemble_pictures(variable: Variable, fields: ExampleFields, scale: Scale) -> Pictures:
    """Truth, one member, mean and spread."""
    shown = {TRUTH: fields.truth, "one member": fields.forecast, "mean": fields.mean}
    pictures = {title: Picture(values, scale, variable.units) for title, values in shown.items()}
    return pictures | {"spread": Picture(fields.spread, spread_scale(fields.spread), variable.units)}


def animation(variable: Variable, gallery: Gallery, frame: MapFrame) -> Context:
    """Every lead's pictures, a list for each pane, and the colour bars."""
    case = gallery.spotlight
    hours = case.fields[variable.name].lead_hours
    shown = panes(variable, gallery)
    times = case.init_time + (np.array(hours) * 3600).astype("timedelta64[s]")
    return {
        "label": capital(variable.long_name or variable.name),
        "init_time": minute(case.init_time),
        "bars": bars(variable, shown),
        "panes": [
            {"title": title, "frames": [frame.png(values, pane.scale) for values in pane.values]}
            for title, pane in shown.items()
        ],
        "labels": [f"+{hour:g} h · {minute(time)} UTC" for hour, time in zip(hours, times, strict=True)],
    }


def panes(variable: Variable, gallery: Gallery) -> Pictures:
    """Truth, forecast and rival; of an ensemble also its mean, its spread and the probability of the middle event."""
    fields, ensemble = gallery.spotlight.fields[variable.name], gallery.members > 1
    ours = f"{gallery.forecast}, first of {gallery.members} members" if ensemble else gallery.forecast
    values = {TRUTH: fields.truth, ours: fields.forecast}
    values |= {} if gallery.rival is None else dict([gallery.rival])
    values |= {"mean": fields.mean} if ensemble else {}
    scale = field_scale(variable, np.stack([fields.forecast, fields.truth]))
    shown = {title: Picture(field, scale, variable.units) for title, field in values.items()}
    return shown | (_chances(variable, fields) if ensemble else {})


def _chances(variable: Variable, fields: ExampleFields) -> Pictures:
    """The spread, and the probability of the middle event."""
    shown = {"spread": Picture(fields.spread, spread_scale(fields.spread), variable.units)}
    threshold = middle_threshold(variable)
    if threshold is not None and fields.probability is not None:
        title = f"probability of {event(threshold, variable.units, variable.event)}"
        shown[title] = Picture(fields.probability, probability_scale(), "1")
    return shown


def bars(variable: Variable, pictures: Pictures) -> list[tuple[str, Context]]:
    """Titles and colour bars: one of the variable, and one of each picture with a scale of its own."""
    own = {title: shown for title, shown in pictures.items() if shown.scale is not pictures[TRUTH].scale}
    all_of_them = {variable.long_name or variable.name: pictures[TRUTH]} | own
    return [(title, bar(shown.scale, shown.units)) for title, shown in all_of_them.items()]
