"""Line charts as small inline SVG: coloured by the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

Array = npt.NDArray[Any]
WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
BAND_POINTS = 2


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: x and y (N,), its interval where there is one, and its classes in the style sheet."""

    name: str
    style: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From values to a share of the axis.

    Attributes:
        low: value at 0.
        high: value at 1.
        ticks: (value, label).
        log: equal ratios have equal lengths.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def share(self, values: Array) -> Array:
        """Values to 0 .. 1; NaN where a logarithm has none."""
        if not self.log:
            return (np.asarray(values, float) - self.low) / (self.high - self.low)
        positive = np.where(np.asarray(values, float) > 0, values, np.nan)
        return np.log(positive / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with its name and units."""

    name: str
    units: str
    svg: Markup


def linear_axis(values: Array, *, include: Sequence[float] = (), ticks: int = 5, whole: bool = False) -> Axis:
    """An axis over the finite values and those of `include`, ending on ticks."""
    known = [*np.asarray(values, float)[np.isfinite(values)], *include] or [0.0, 1.0]
    steps = [1, 2, 3, 6, 10] if whole else [1, 2, 2.5, 5, 10]  # hours divide by three and six
    marks = MaxNLocator(nbins=ticks, steps=steps, integer=whole).tick_values(min(known), max(known))
    low, high = (min(known), max(known)) if whole else (marks[0], marks[-1])
    high = high if high > low else low + 1
    return Axis(low=low, high=high, ticks=[(mark, f"{mark:.6g}") for mark in marks if low <= mark <= high])


def power_axis(values: Array) -> Axis:
    """A logarithmic axis over the positive values, with a tick at each decade or a few."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known) & (known > 0)]
    low, high = (known.min(), known.max()) if len(known) else (1.0, 10.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    stride = -(-(last - first) // 5)
    ticks = [(10.0**decade, f"1e{decade}") for decade in range(first, last + 1, stride)]
    return Axis(low=10.0**first, high=10.0**last, ticks=ticks, log=True)


def unit_axis() -> Axis:
    """From 0 to 1, for probabilities and rates."""
    return Axis(low=0.0, high=1.0, ticks=[(tick, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)])


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    x_label: str,
    mark: float | None = None,
    diagonal: bool = False,
    text: str = "",
    void: str = "no case to score",
) -> Markup:
    """A chart.

    Args:
        series: the first lies on top.
        x: the horizontal axis.
        y: the vertical axis.
        x_label: below it.
        mark: a level to draw, that of a perfect forecast.
        diagonal: drawn where both axes are equal.
        text: what the chart shows, for those who cannot see it.
        void: said where there is nothing to draw.
    """
    empty = not any(np.isfinite(line.y).any() for line in series)
    parts = [
        *_grid(x, y, x_label),
        *([] if mark is None else [_level(y, mark)]),
        *([_diagonal()] if diagonal else []),
        *(_band(line, x, y) for line in series if line.low is not None and line.high is not None),
        *(_line(line, x, y) for line in reversed(series)),  # the first lies on top
        *([f'<text class="void" x="{WIDTH / 2}" y="{HEIGHT / 2 - 10}">{escape(void)}</text>'] if empty else []),
    ]
    body = "".join(parts)
    label = f' aria-label="{escape(text)}"' if text else ""
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"{label}>{body}</svg>')  # noqa: S704 - texts are escaped where they enter


def _grid(x: Axis, y: Axis, x_label: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    rows = [(_down(y, value), label) for value, label in y.ticks]
    columns = [(_across(x, value), label) for value, label in x.ticks]
    return [
        *(f'<path class="rule" d="M{LEFT} {at:.1f}H{right}"/>' for at, _ in rows),
        *(f'<text class="y" x="{LEFT - 6}" y="{at + 3.5:.1f}">{escape(label)}</text>' for at, label in rows),
        *(f'<path class="rule" d="M{at:.1f} {bottom}v4"/>' for at, _ in columns),
        *(f'<text class="x" x="{at:.1f}" y="{bottom + 16}">{escape(label)}</text>' for at, label in columns),
        f'<text class="x" x="{(LEFT + right) / 2}" y="{HEIGHT - 3}">{escape(x_label)}</text>',
    ]


def _level(y: Axis, value: float) -> str:
    return f'<path class="perfect" d="M{LEFT} {_down(y, value):.1f}H{WIDTH - RIGHT}"/>'


def _diagonal() -> str:
    return f'<path class="perfect" d="M{LEFT} {HEIGHT - BOTTOM}L{WIDTH - RIGHT} {TOP}"/>'


def _line(line: Series, x: Axis, y: Axis) -> str:
    runs = _runs(_points(line.x, line.y, x, y))
    paths = "".join(f"M{_join(run)}" if len(run) > 1 else f"M{_join(run)}h0" for run in runs)
    title = f"<title>{escape(line.name)}</title>"
    return f'<path class="line {line.style}" d="{paths}">{title}</path>' if paths else ""


def _band(line: Series, x: Axis, y: Axis) -> str:
    assert line.low is not None
    assert line.high is not None
    both = np.concatenate([_points(line.x, line.low, x, y), _points(line.x, line.high, x, y)], axis=1)
    areas = [f"M{_join(run[:, :2])}L{_join(run[::-1, 2:])}Z" for run in _runs(both) if len(run) >= BAND_POINTS]
    return f'<path class="band {line.style}" d="{"".join(areas)}"/>' if areas else ""


def _points(values_x: Array, values_y: Array, x: Axis, y: Axis) -> Array:
    across = LEFT + (WIDTH - LEFT - RIGHT) * x.share(values_x)
    down = TOP + (HEIGHT - TOP - BOTTOM) * (1 - np.clip(y.share(values_y), -0.02, 1.02))
    return np.stack([across, down], axis=1)


def _runs(points: Array) -> list[Array]:
    """Stretches without NaN."""
    known = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(known.astype(int))) + 1
    return [run for run in np.split(points, edges) if np.isfinite(run).all() and len(run)]


def _join(points: Array) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _across(x: Axis, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * float(x.share(np.array(value)))


def _down(y: Axis, value: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - float(y.share(np.array(value))))
