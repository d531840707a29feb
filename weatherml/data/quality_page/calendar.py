"""The calendar of times: which are present, missing, quarantined, as small inline SVGs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from weatherml.data.consumed import unstamp

Array = npt.NDArray[Any]
STATES = ("present", "missing", "quarantined")
ABSENT = -1
CELL = 7
LEFT, TOP = 24, 14
DAY = 86400
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How times of a step are laid out.

    Attributes:
        below: steps shorter than so many seconds.
        block: numpy's unit of a picture.
        row: of a row in it.
        column: of a cell; None is the step itself.
        row_labels: one every so many rows.
        column_labels: how many there are.
    """

    below: float
    block: str
    row: str
    column: str | None
    row_labels: int
    column_labels: int


LAYOUTS = (
    Layout(below=3600, block="D", row="h", column=None, row_labels=6, column_labels=4),
    Layout(below=DAY, block="M", row="D", column=None, row_labels=7, column_labels=4),
    Layout(below=28 * DAY, block="Y", row="M", column="D", row_labels=3, column_labels=4),
    Layout(below=math.inf, block="1000Y", row="Y", column="M", row_labels=10, column_labels=4),
)
SPANS = {"h": 3600, "D": DAY, "M": 31, "Y": 12}  # of a row, in its cells' units


@dataclass(frozen=True, kw_only=True)
class Block:
    """One picture.

    Attributes:
        label: its name.
        first: the number of its first row.
        states: (R, K) indices into `STATES`, ABSENT outside of the record.
        layout: how it is laid out.
    """

    label: str
    first: int
    states: Array
    layout: Layout

    def count(self, state: str) -> int:
        """How many times are in this state."""
        return int((self.states == STATES.index(state)).sum())

    @property
    def text(self) -> str:
        """What the picture shows, for those who cannot see it."""
        return f"{self.label}: " + ", ".join(f"{self.count(state)} {state}" for state in STATES)


def blocks(times: Array, missing: Iterable[str], quarantined: Iterable[str], step: np.timedelta64) -> list[Block]:
    """The blocks of a record, in order."""
    seconds = int(step / np.timedelta64(1, "s"))
    layout = next(layout for layout in LAYOUTS if seconds < layout.below)
    parts = (times, *(np.array([*map(unstamp, each)], "datetime64[s]") for each in (missing, quarantined)))
    at, state = np.concatenate(parts), np.repeat(np.arange(len(STATES)), [len(part) for part in parts])
    block = at.astype(f"datetime64[{layout.block}]")
    row = at.astype(f"datetime64[{layout.row}]")
    rows = (row - block.astype(row.dtype)).astype(np.int64)
    unit = layout.column or "s"
    columns = (at.astype(f"datetime64[{unit}]") - row.astype(f"datetime64[{unit}]")).astype(np.int64)
    width = SPANS[layout.row]
    if layout.column is None:
        columns, width = columns // seconds, -(-width // seconds)
    found = []
    for each in np.unique(block):
        here = block == each
        skipped = int(rows[here].min()) if layout.row == "Y" else 0  # years before the record
        states = np.full((int(rows[here].max()) + 1 - skipped, width), ABSENT)
        states[rows[here] - skipped, columns[here]] = state[here]
        first = first_row(each, layout) + skipped
        found.append(Block(label=label(each, first, layout), first=first, states=states, layout=layout))
    return found


def label(block: np.datetime64, first: int, layout: Layout) -> str:
    """A block's name: `2019-06-10`, `July 2018`, `2018`, or `from 1900`."""
    if layout.block == "M":
        return f"{MONTHS[int(block.astype(np.int64)) % 12]} {block.astype('datetime64[Y]')}"
    return f"from {first}" if layout.row == "Y" else str(block)


def first_row(block: np.datetime64, layout: Layout) -> int:
    """The hour, day, month or year of a block's first row."""
    years = {"Y": int(block.astype("datetime64[Y]").astype(np.int64)) + 1970}
    return years.get(layout.row, 0 if layout.row == "h" else 1)


def calendar_svg(block: Block) -> Markup:
    """A block as a picture, coloured by the page's style sheet."""
    rows, columns = block.states.shape
    width, height = LEFT + CELL * columns + 2, TOP + CELL * rows + 2
    body = "".join([*_labels(block), *(_path(block, number) for number in range(len(STATES)))])
    return Markup(  # noqa: S704 - texts are escaped where they enter
        f'<svg class="chart calendar" viewBox="0 0 {width} {height}" style="max-width: {2 * width}px" role="img" '
        f'aria-label="{escape(block.text)}">{body}</svg>'
    )


def calendar_csv(pictures: Sequence[Block]) -> str:
    """How many times of each block are in each state."""
    rows = [["block", *STATES], *([block.label, *map(str, map(block.count, STATES))] for block in pictures)]
    return "".join(f"{','.join(row)}\n" for row in rows)


def _labels(block: Block) -> list[str]:
    (rows, columns), layout = block.states.shape, block.layout
    span, parts = SPANS[layout.row], layout.column_labels
    unit = {"h": span // 60, "D": span // 3600}.get(layout.row, span)  # minutes, hours, days or months
    start = 0 if layout.column is None else 1
    across = [(columns * part / parts, start + unit * part // parts) for part in range(parts)]
    return [
        *(f'<text x="{LEFT + CELL * at:.1f}" y="{TOP - 4}">{number}</text>' for at, number in across),
        *(
            f'<text class="y" x="{LEFT - 4}" y="{TOP + CELL * row + CELL - 1}">{row + block.first}</text>'
            for row in range(0, rows, layout.row_labels)
        ),
    ]


def _path(block: Block, state: int) -> str:
    """Runs of cells in one state as one path."""
    runs = []
    for row, states in enumerate(block.states == state):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], states.astype(int), [0]])))
        runs += [
            f"M{LEFT + CELL * first} {TOP + CELL * row}h{CELL * (last - first)}v{CELL - 1}H{LEFT + CELL * first}z"
            for first, last in zip(edges[::2], edges[1::2], strict=True)
        ]
    return f'<path class="{STATES[state]}" d="{"".join(runs)}"/>' if runs else ""
