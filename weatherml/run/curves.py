"""Pictures of training: loss, each variable's part in it, gradient norm, learning rate and skill against the step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from weatherml.errors import MissingInputError, UsageError
from weatherml.files import replacing
from weatherml.run.directory import METRICS, open_run, read_metrics

Points = list[tuple[float, float]]
FEW = 20


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart.

    Attributes:
        title: above it.
        lines: (x, y) points by name; one alone needs no name.
        x: what lies along x.
        logarithmic: the axes on which equal ratios have equal lengths: `x`, `y` or both.
        marks: vertical lines by name.
    """

    title: str
    lines: dict[str, Points]
    x: str = "step"
    logarithmic: str = ""
    marks: dict[str, float] | None = None


CHARTS = (
    ("training loss", "loss", "y"),
    ("training loss by variable", "loss/", "y"),
    ("validation error over the reference's", "skill", ""),
    ("validation error by variable", "skill/", ""),
    ("gradient norm", "gradient_norm", "y"),
    ("learning rate", "lr", ""),
)
"""Title, key in the metrics (with a slash the beginning of several), and logarithmic axes."""


def plot_training(run: Path, output: Path) -> None:
    """Draw the training curves of the run at `run`.

    Raises:
        BadDataError: not a run, or damaged metrics.
        MissingInputError: it has no metrics yet.
        UsageError: a kind of picture that is not known.
    """
    open_run(run)
    panels = training_panels(read_metrics(run))
    if not panels:
        raise MissingInputError(f"{run / METRICS}: no metrics yet; let the run train on")
    draw(panels, output)


def training_panels(metrics: Iterable[dict[str, Any]]) -> list[Panel]:
    """The charts that have something to show, of lines of metrics."""
    curves: dict[str, Points] = {}
    for line in metrics:
        for name, value in line.items():
            curves.setdefault(name, []).append((line["step"], value))
    found = ((title, _named(curves, key), axes) for title, key, axes in CHARTS)
    return [Panel(title=title, lines=lines, logarithmic=axes) for title, lines, axes in found if lines]


def _named(curves: dict[str, Points], key: str) -> dict[str, Points]:
    """The curve `key`, or those that begin with it, by the rest of their names."""
    if not key.endswith("/"):
        return {"": curves[key]} if key in curves else {}
    return {name.removeprefix(key): points for name, points in curves.items() if name.startswith(key)}


def draw(panels: Sequence[Panel], output: Path) -> None:
    """Write charts as a picture, two side by side; the ending of `output` decides its kind.

    Raises:
        UsageError: a kind that is not known.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 3.2 * rows), layout="constrained")
    kind, known = output.suffix.removeprefix("."), figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise UsageError(f"{output}: no kind of picture; end it in .png, .svg or .pdf")
    for number, panel in enumerate(panels):
        _chart(figure.add_subplot(rows, columns, number + 1), panel)
    with replacing(output) as file:
        figure.savefig(file, format=kind)


def _chart(axes: Any, panel: Panel) -> None:
    for name, points in panel.lines.items():
        marker = "o" if len(points) <= FEW else None  # a single point has no line
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2, marker=marker, markersize=4)
    for name, place in (panel.marks or {}).items():
        axes.axvline(place, label=f"{name} {place:.2g}", color="0.4", linestyle="--", linewidth=1)
    axes.set(title=panel.title, xlabel=panel.x)
    for axis in panel.logarithmic:
        axes.set(**{f"{axis}scale": "log"})
    axes.grid(alpha=0.3)
    if any(panel.lines) or panel.marks:
        axes.legend(fontsize="small")
