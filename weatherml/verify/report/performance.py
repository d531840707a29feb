"""Performance diagram (Roebber 2009, doi:10.1175/2008WAF2222159.1): four categorical scores in one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.metrics.events import EventMetric, event_name
from weatherml.page.charts import SQUARE, Chart, Series, chart, unit_axis
from weatherml.verify.report.choice import few_leads
from weatherml.verify.report.styles import styles
from weatherml.verify.scores.scores import Scores

Array = npt.NDArray[Any]
CSI = (0.2, 0.4, 0.6, 0.8)
BIASES = (0.25, 0.5, 1.0, 2.0, 4.0)
RADIUS = 0.8  # of the unit square, where a bias is written on its ray


def performance_charts(scores: Scores, variable: str) -> list[Chart]:
    """Probability of detection against success ratio: a line a forecast, a point each threshold."""
    thresholds = scores.variables[variable].thresholds
    if not any(isinstance(metric, EventMetric) and metric.kind == "pod" for metric in scores.cards[variable].values()):
        return []
    behind, notes = contours()
    units = scores.variables[variable].units
    return [
        chart(
            f"performance at {scores.cases.lead_hours[lead]:g} h",
            f"points grow with the threshold: {', '.join(f'{threshold:g}' for threshold in thresholds)} {units}",
            [_line(scores, name, variable, lead) for name in scores.names if variable in scores.curves[name]],
            unit_axis(), unit_axis(),
            x_label="success ratio (1 - FAR); detection (POD) upwards", y_label="POD",
            behind=behind, notes=notes, height=SQUARE,
        )
        for lead in few_leads(scores)
    ]  # fmt: skip


def _line(scores: Scores, name: str, variable: str, lead: int) -> Series:
    of, found = scores.variables[variable], scores.curves[name][variable]
    events = [event_name(threshold, of.units, of.event) for threshold in of.thresholds]
    far, pod = (np.array([float(found[f"{kind}_{event}"].value[lead]) for event in events]) for kind in ("far", "pod"))
    marks = [f"{threshold:g} {of.units}" for threshold in of.thresholds]
    return Series(name=name, style=styles(scores)[name], x=1 - far, y=pod, marks=marks)


def contours() -> tuple[list[Series], list[tuple[float, float, str]]]:
    """Lines of equal CSI and rays of equal frequency bias, and where they are named."""
    ratios = {csi: np.linspace(csi, 1, 33) for csi in CSI}
    lines = [Series(name="", style="guide", x=x, y=csi_contour(csi, x)) for csi, x in ratios.items()]
    ends = [(min(1.0, 1 / bias), min(1.0, bias)) for bias in BIASES]
    rays = [Series(name="", style="guide ray", x=np.array([0, x]), y=np.array([0, y])) for x, y in ends]
    named = [(RADIUS * x, RADIUS * y, f"bias {bias:g}") for bias, (x, y) in zip(BIASES, ends, strict=True)]
    return [*lines, *rays], [*((0.95, csi - 0.02, f"{csi:g}") for csi in CSI), *named]


def csi_contour(csi: float, success_ratio: Array) -> Array:
    """POD where CSI has a value: 1 / CSI = 1 / POD + 1 / (success ratio) - 1."""
    return np.asarray(1 / (1 / csi - 1 / success_ratio + 1))
