"""Charts: their numbers, their panels, and ticks that fit the margin."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from weatherml.page.charts import (
    LEFT,
    RIGHT,
    WIDTH,
    Axis,
    Panel,
    Series,
    chart,
    linear_axis,
    numbers,
    tick_labels,
    unit_axis,
)

X, Y = np.array([1.0, 2.0, 3.0]), np.array([0.25, np.nan, 0.75])


def test_numbers_are_a_row_each_point() -> None:
    plain = Series(name="ours, new", style="f0", x=X, y=Y, low=Y - 0.125, high=Y + 0.125)
    assert numbers([plain], "lead time (h)", "rmse").splitlines() == [
        "series,lead time (h),rmse,low,high",
        '"ours, new",1,0.25,0.125,0.375',
        '"ours, new",2,,,',  # a gap in the line
        '"ours, new",3,0.75,0.625,0.875',
    ]
    marked = Series(name="a", style="f0", x=X[:1], y=Y[:1], marks=["20 dBZ"])
    assert numbers([marked], "x", "y").splitlines() == ["series,x,y,low,high,mark", "a,1,0.25,,,20 dBZ"]


def test_times_are_numbers_of_an_axis_and_dates_of_the_csv() -> None:
    days = np.array(["1970-01-02", "1970-01-04"], "datetime64[D]")
    axis = Axis(low=0.0, high=4 * 86400.0, ticks=[])
    assert axis.share(days).tolist() == [0.25, 0.75]  # one and three of four days
    rows = numbers([Series(name="a", style="f0", x=days, y=Y[:2])], "time (UTC)", "t2m").splitlines()
    assert rows[1:] == ["a,1970-01-02,0.25,,", "a,1970-01-04,,,"]


def test_a_panel_places_values_between_its_edges() -> None:
    panel = Panel(x=unit_axis(), y=Axis(low=0.0, high=10.0, ticks=[]), top=20, bottom=120)
    assert panel.across(np.array([0.0, 1.0])).tolist() == [LEFT, WIDTH - RIGHT]
    assert panel.down(np.array([0.0, 2.5, 10.0])).tolist() == [120, 95, 20]  # 120 - 0.25 x 100
    assert panel.down(99.0) == pytest.approx(18)  # far outside is just outside: 2 % of 100 above


def test_points_are_drawn_where_they_are_known_and_grow() -> None:
    series = Series(name="a", style="f0", x=X / 4, y=Y, marks=["10", "20", "30"])
    drawn = chart("performance", "", [series], unit_axis(), unit_axis(), x_label="success ratio; detection upwards")
    dots = ET.fromstring(drawn.svg).findall("circle")
    assert [dot[0].text for dot in dots] == ["a, 10", "a, 30"]
    assert float(dots[0].attrib["r"]) < float(dots[1].attrib["r"])
    assert drawn.csv.startswith("series,success ratio,performance,")
    assert 'aria-label="performance, against success ratio; detection upwards: a"' in drawn.svg


@pytest.mark.parametrize(
    ("marks", "labels"),
    [
        ([0, 2.5, 5], ["0", "2.5", "5"]),
        ([-0.05, 0, 0.05], ["-0.05", "0", "0.05"]),
        ([0, 0.00125, 0.0025], ["0", "1.25e-3", "2.5e-3"]),
        ([0, 500000, 1e6], ["0", "5e5", "1e6"]),
    ],
)
def test_ticks_fit_the_margin(marks: list[float], labels: list[str]) -> None:
    assert tick_labels(np.array(marks, float)) == labels


def test_an_axis_of_small_values_has_short_labels() -> None:
    axis = linear_axis(np.array([0.0, 0.0011]))
    assert max(len(label) for _, label in axis.ticks) <= 7


@pytest.mark.parametrize("level", [0.0, -1.0, 289.0421, 101325.0, 1.134e-4])
def test_ticks_beside_one_value_differ(level: float) -> None:
    axis = linear_axis(np.full(3, level))
    labels = [label for _, label in axis.ticks]
    assert axis.low < level < axis.high
    assert len(set(labels)) == len(labels) > 2
    assert max(map(len, labels)) <= 8
