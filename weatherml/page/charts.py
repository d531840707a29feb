"""Line charts as small inline SVG: coloured by the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import csv
import io
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
SQUARE = 310
"""The height of a chart whose axes are alike."""
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 10, 34
BAND_POINTS = 2
LEAST_SPAN = 1e-3, 1e-2
"""Of an axis over its largest value: where ticks are plain, and where a power of ten takes room from their figures."""
PLAIN = 0.01, 1e6
"""Where the largest of the ticks lies that are written without a power of ten."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line.

    Attributes:
        name: of what it shows.
        style: its classes in the style sheet.
        x: (N,), numbers or times.
        y: (N,); the line breaks at NaN.
        low: (N,), the lower end of its interval, where there is one.
        high: (N,), the upper end.
        marks: of each point, a text; the points are then drawn, the later the larger.
    """

    name: str
    style: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    marks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From values to a share of the axis; times count in seconds since 1970.

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
        values = seconds(values) if np.asarray(values).dtype.kind == "M" else np.asarray(values, float)
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        positive = np.where(values > 0, values, np.nan)
        return np.log(positive / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with its name, its units, and its numbers as CSV."""

    name: str
    units: str
    svg: Markup
    csv: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The part of a chart where values lie: its axes, and its edges in units of the SVG."""

    x: Axis
    y: Axis
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM

    def across(self, values: Array | float) -> Array:
        """Values of x to units of the SVG."""
        return LEFT + (WIDTH - LEFT - RIGHT) * self.x.share(np.asarray(values))

    def down(self, values: Array | float) -> Array:
        """Values of y to units of the SVG; what lies far outside ends just outside."""
        share = np.clip(self.y.share(np.asarray(values)), -0.02, 1.02)
        return np.asarray(self.top + (self.bottom - self.top) * (1 - share))

    def points(self, x: Array, y: Array) -> Array:
        """(N, 2) units of the SVG."""
        return np.stack([self.across(x), self.down(y)], axis=1)


def seconds(times: Array) -> Array:
    """Since 1970."""
    return np.asarray(times).astype("datetime64[s]").astype(float)


def linear_axis(values: Array, *, include: Sequence[float] = (), ticks: int = 5, whole: bool = False) -> Axis:
    """An axis over the finite values and those of `include`, ending on ticks."""
    known = _parted([*np.asarray(values, float)[np.isfinite(values)], *include] or [0.0, 1.0])
    steps = [1, 2, 3, 6, 10] if whole else [1, 2, 2.5, 5, 10]  # hours divide by three and six
    marks = np.asarray(MaxNLocator(nbins=ticks, steps=steps, integer=whole).tick_values(*known))
    low, high = known if whole else (marks[0], marks[-1])
    high = high if high > low else low + 1
    labels = tick_labels(marks)
    ticks_inside = [tick for tick in zip(marks.tolist(), labels, strict=True) if low <= tick[0] <= high]
    return Axis(low=low, high=high, ticks=ticks_inside)


def _parted(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest, apart enough for short labels to differ."""
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    least = LEAST_SPAN[not PLAIN[0] <= largest < PLAIN[1]]
    wanting = (least * largest or 1.0) - (high - low)
    return (low - wanting / 2, high + wanting / 2) if wanting > 0 else (low, high)


def tick_labels(marks: Array) -> list[str]:
    """As short as the margin wants them: with a power of ten where all are small or one is large."""
    largest = float(np.abs(marks).max(initial=0.0))
    if not largest or PLAIN[0] <= largest < PLAIN[1]:
        return [f"{mark:.6g}" for mark in marks]
    parts = [f"{mark:.3e}".split("e") for mark in marks]
    return [f"{float(digits):g}e{int(power)}" if float(digits) else "0" for digits, power in parts]


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


def chart(
    name: str, units: str, series: Sequence[Series], x: Axis, y: Axis, *, x_label: str, y_label: str = "", **look: Any
) -> Chart:
    """A chart that tells in words what it shows, with its numbers; `look` goes to `line_chart`."""
    look = {"text": f"{name}, against {x_label}: {', '.join(line.name for line in series)}"} | look
    svg = line_chart(series, x, y, x_label=x_label, **look)
    what = x_label.partition(";")[0]  # behind it stands what the other axis is
    return Chart(name=name, units=units, svg=svg, csv=numbers(series, what, y_label or name))


def numbers(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """What a chart shows as CSV: a row each point."""
    rows = io.StringIO()
    write = csv.writer(rows, lineterminator="\n").writerow
    marked = any(line.marks for line in series)
    write(["series", x_label, y_label, "low", "high", *(["mark"] if marked else [])])
    for line in series:
        for index in range(len(line.x)):
            parts = [None if part is None else part[index] for part in (line.x, line.y, line.low, line.high)]
            write([line.name, *map(_number, parts), *([line.marks[index]] if line.marks else [])])
    return rows.getvalue()


def _number(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value)
    return "" if value is None or not np.isfinite(value) else f"{value:.6g}"


def line_chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    x_label: str,
    mark: float | None = None,
    diagonal: bool = False,
    behind: Sequence[Series] = (),
    notes: Sequence[tuple[float, float, str]] = (),
    height: float = HEIGHT,
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
        behind: lines that are no data, for the eye alone.
        notes: (x, y, text) of what is written beside those.
        height: of the chart; its width is WIDTH.
        text: what the chart shows, for those who cannot see it.
        void: said where there is nothing to draw.
    """
    panel = Panel(x=x, y=y, bottom=height - BOTTOM)
    empty = not any(np.isfinite(line.y).any() for line in series)
    parts = [
        *grid(panel, x_label),
        *([] if mark is None else [_level(panel, mark)]),
        *([slope(panel)] if diagonal else []),
        *lines(behind, panel),
        *(_note(panel, *note) for note in notes),
        *lines(series, panel),
        *([f'<text class="void" x="{WIDTH / 2}" y="{height / 2 - 10}">{escape(void)}</text>'] if empty else []),
    ]
    return picture(parts, height, text)


def picture(parts: Sequence[str], height: float, text: str = "") -> Markup:
    """Elements as one SVG."""
    label = f' aria-label="{escape(text)}"' if text else ""
    body = "".join(parts)
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img"{label}>{body}</svg>')  # noqa: S704 - texts are escaped where they enter


def grid(panel: Panel, x_label: str) -> list[str]:
    """Rules, ticks and labels of a panel's axes."""
    bottom, right = panel.bottom, WIDTH - RIGHT
    rows = [(float(panel.down(value)), label) for value, label in panel.y.ticks]
    columns = [(float(panel.across(value)), label) for value, label in panel.x.ticks]
    return [
        *(f'<path class="rule" d="M{LEFT} {at:.1f}H{right}"/>' for at, _ in rows),
        *(f'<text class="y" x="{LEFT - 6}" y="{at + 3.5:.1f}">{escape(label)}</text>' for at, label in rows),
        *(f'<path class="rule" d="M{at:.1f} {bottom:g}v4"/>' for at, _ in columns),
        *(f'<text class="x" x="{at:.1f}" y="{bottom + 16:g}">{escape(label)}</text>' for at, label in columns),
        f'<text class="x" x="{(LEFT + right) / 2}" y="{bottom + 31:g}">{escape(x_label)}</text>',
    ]


def lines(series: Sequence[Series], panel: Panel) -> list[str]:
    """Intervals, lines and points; the first series lies on top."""
    return [
        *(_band(line, panel) for line in series if line.low is not None and line.high is not None),
        *(_line(line, panel) for line in reversed(series)),
        *(dot for line in reversed(series) for dot in _dots(line, panel)),
    ]


def _level(panel: Panel, value: float) -> str:
    return f'<path class="perfect" d="M{LEFT} {panel.down(value):.1f}H{WIDTH - RIGHT}"/>'


def slope(panel: Panel) -> str:
    """The line on which both axes are equal."""
    return f'<path class="perfect" d="M{LEFT} {panel.bottom:g}L{WIDTH - RIGHT} {panel.top:g}"/>'


def _note(panel: Panel, x: float, y: float, text: str) -> str:
    return f'<text class="note" x="{panel.across(x):.1f}" y="{panel.down(y) + 3.5:.1f}">{escape(text)}</text>'


def _line(line: Series, panel: Panel) -> str:
    runs = _runs(panel.points(line.x, line.y))
    paths = "".join(f"M{_join(run)}" if len(run) > 1 else f"M{_join(run)}h0" for run in runs)
    title = f"<title>{escape(line.name)}</title>"
    return f'<path class="line {line.style}" d="{paths}">{title}</path>' if paths else ""


def _band(line: Series, panel: Panel) -> str:
    assert line.low is not None
    assert line.high is not None
    both = np.concatenate([panel.points(line.x, line.low), panel.points(line.x, line.high)], axis=1)
    areas = [f"M{_join(run[:, :2])}L{_join(run[::-1, 2:])}Z" for run in _runs(both) if len(run) >= BAND_POINTS]
    return f'<path class="band {line.style}" d="{"".join(areas)}"/>' if areas else ""


def _dots(line: Series, panel: Panel) -> list[str]:
    places = panel.points(line.x, line.y)[: len(line.marks)]
    return [
        f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 0.8 * index:g}">'
        f"<title>{escape(f'{line.name}, {mark}')}</title></circle>"
        for index, ((x, y), mark) in enumerate(zip(places, line.marks, strict=True))
        if np.isfinite(x + y)
    ]


def _runs(points: Array) -> list[Array]:
    """Stretches without NaN."""
    known = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(known.astype(int))) + 1
    return [run for run in np.split(points, edges) if np.isfinite(run).all() and len(run)]


def _join(points: Array) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
