"""The page of the quality report: its numbers, its shifts, its pictures, and the file."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weatherml.data.quality_page import write_page
from weatherml.data.quality_page.calendar import STATES, blocks, calendar_svg
from weatherml.data.quality_page.drawings import time_axis
from weatherml.data.quality_page.numbers import COUNTED, counts, grouped, hour_of_day, mean_by, period_unit, ranges
from weatherml.data.quality_page.page import PAGE, page, span
from weatherml.data.quality_page.shifts import changes, shifts
from weatherml.data.statistics import ROW
from weatherml.data.store import open_dataset
from weatherml.data.summary import Summary
from weatherml.variables import TABLE

START = np.datetime64("2023-07-01T00:00:00", "s")
T2M, REFC = TABLE["t2m"], TABLE["refc"]
HOUR = np.timedelta64(3600, "s")
DAYS = np.datetime64("2023-07-01") + np.arange(400)
QUIET: dict[str, Any] = {"missing": [], "quarantined": {}, "findings": [], "notes": []}


def after(*steps: int, step: int = 3600) -> np.ndarray:
    return START + np.array(steps) * np.timedelta64(step, "s")


def weather(days: int, *, seed: int = 0, persistence: float = 0.75) -> np.ndarray:
    """Daily temperatures: a year's cycle of 12 K, and weather of 3 K that lasts some days."""
    noise, states = np.random.default_rng(seed).normal(0, 1, days), np.zeros(days)
    for day in range(1, days):
        states[day] = persistence * states[day - 1] + (1 - persistence**2) ** 0.5 * noise[day]
    return 284 + 12 * np.cos(2 * np.pi * np.arange(days) / 365.25) + 3 * states


def summary(times: np.ndarray, mean: np.ndarray) -> Summary:
    """Two variables, temperature and reflectivity, around the (N,) mean temperature."""
    both = np.stack([mean, np.full(len(times), -5.0)], axis=1)
    moments = np.zeros((len(times), 2, len(ROW)))
    moments[:, :, ROW.index("state_mean")] = both
    shares = {("refc", at): np.linspace(0, 0.1, len(times)) for at in REFC.thresholds}
    missing = np.zeros_like(both)
    return Summary(
        times=times, minimum=both - 5, maximum=both + 5, mean=both, missing=missing, moments=moments, shares=shares
    )


def year() -> Summary:
    times = START + np.arange(365 * 24) * HOUR
    return summary(times, np.repeat(weather(365), 24))


@pytest.mark.parametrize(
    ("hours", "unit"), [(1, "m"), (24, "h"), (24 * 30, "D"), (24 * 365, "M"), (24 * 366 * 20, "Y")]
)
def test_a_record_is_told_in_a_readable_number_of_periods(hours: int, unit: str) -> None:
    assert period_unit(after(0, hours)) == unit


def test_ranges_and_means_by_month() -> None:
    times = after(0, 1, 24 * 31)  # two in July, one in August
    made = summary(times, np.array([280.0, 290.0, 270.0]))
    periods, starts = grouped(times, "M")
    found = ranges(made, starts)
    assert [str(period) for period in periods] == ["2023-07", "2023-08"]
    assert found.minimum[:, 0].tolist() == [275, 265]
    assert found.mean[:, 0].tolist() == [285, 270]  # (280 + 290) / 2
    assert found.maximum[:, 0].tolist() == [295, 275]


def test_what_is_unknown_does_not_count() -> None:
    values, hours = np.array([1.0, np.nan, 3.0, np.nan]), hour_of_day(after(0, 0, 24, 25))
    means = mean_by(values, hours, 24)
    assert means[0] == 2.0  # (1 + 3) / 2
    assert np.isnan(means[1:]).all()


def test_counts_by_period() -> None:
    finding = {"time": "2023-08-01T00:00:00Z", "variable": "t2m"}
    quality = QUIET | {
        "missing": ["2023-07-01T05:00:00Z"],
        "quarantined": {"2023-07-02T00:00:00Z": "t2m: no value"},
        "findings": [finding | {"finding": "masked"}, finding | {"finding": "repeated"}],
    }
    rows = counts(after(0, 1, 24 * 31), quality, "M")
    assert COUNTED == ("present", "missing", "quarantined", "masked", "constant", "repeated")
    assert rows == {"2023-07": [2, 1, 1, 0, 0, 0], "2023-08": [1, 0, 0, 1, 0, 1]}


@pytest.mark.parametrize("seed", range(20))
def test_neither_weather_nor_seasons_are_shifts(seed: int) -> None:
    assert changes(DAYS, weather(400, seed=seed)) == []


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_steady_series_have_no_shift(slope: float) -> None:
    assert changes(DAYS, slope * np.arange(400.0)) == []


@pytest.mark.parametrize("at", [20, 200, 380])
def test_a_change_of_units_is_found_on_its_day(at: int) -> None:
    values = weather(400)
    values[at:] -= 273.15
    ((day, before, later, sharpness),) = changes(DAYS, values)
    assert day == at
    assert before - later == pytest.approx(273.15, abs=8)
    assert sharpness > 20


def test_a_change_is_found_beside_absent_days() -> None:
    values = weather(400, persistence=0.0) + np.where(np.arange(400) >= 200, 40.0, 0.0)
    there = np.r_[0:150, 160:198, 200:400]
    ((day, *_),) = changes(DAYS[there], values[there])
    assert DAYS[there][day] == DAYS[200]


def test_a_change_of_spread_is_a_shift_of_the_range() -> None:
    made = year()
    wide = made.times >= made.times[0] + np.timedelta64(100, "D")
    made.maximum[wide, 1] += 90  # 10 dBZ from end to end become 100
    (found,) = shifts(made, ["t2m", "refc"], [1 / 64, 1 / 64])
    assert (found.variable, found.measure, str(found.day)) == ("refc", "range", "2023-10-09")
    assert np.exp(found.after - found.before) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(
    ("step", "label", "shape"),
    [
        (120, "2023-07-01", (1, 30)),  # a row an hour
        (3600, "July 2023", (1, 24)),  # a row a day
        (6 * 3600, "July 2023", (1, 4)),
        (86400, "2023", (7, 31)),  # a row a month, up to July
        (31 * 86400, "from 2023", (1, 12)),  # July, August and September
    ],
)
def test_calendars_of_any_step(step: int, label: str, shape: tuple[int, int]) -> None:
    missing = [f"{after(1, step=step)[0]}Z"]
    (block,) = blocks(after(0, 2, step=step), missing, [], np.timedelta64(step, "s"))
    assert (block.label, block.states.shape) == (label, shape)
    assert [block.count(state) for state in STATES] == [2, 1, 0]


def test_a_year_has_a_picture_a_month_that_says_what_it_shows() -> None:
    made = year()
    pictures = blocks(made.times[1:], [], [f"{made.times[0]}Z"], HOUR)
    assert [block.label for block in pictures][:2] == ["July 2023", "August 2023"]
    assert len(pictures) == 12
    root = ET.fromstring(calendar_svg(pictures[0]))
    assert root.get("aria-label") == "July 2023: 743 present, 0 missing, 1 quarantined"  # 31 x 24 - 1


@pytest.mark.parametrize("hours", [1, 24, 24 * 20, 24 * 400, 24 * 3660, 24 * 36600])
def test_time_axes_have_a_few_ticks_within(hours: int) -> None:
    axis = time_axis(after(0, hours))
    assert 1 <= len(axis.ticks) <= 6
    assert all(axis.low <= at <= axis.high for at, _ in axis.ticks)


def test_the_page_stands_alone_and_names_a_shift() -> None:
    made = year()
    made.moments[4800:, 0] += 40
    html = page("a <dataset>", [T2M, REFC], made, QUIET, HOUR)
    assert "a &lt;dataset&gt;" in html
    assert '<td>t2m</td><td class="left">2024-01-17</td>' in html  # 200 days after 2023-07-01
    assert not re.search(r"""(src|href)=["'](?!data:|#)|url\(|@import|<script[^>]""", html)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon|//(?!www\.w3\.org/2000/svg)\w", html)
    assert all("aria-label" in svg or "aria-hidden" in svg for svg in re.findall(r"<svg[^>]*>", html))


@pytest.mark.parametrize(
    ("seconds", "text"), [(120, "2 minutes"), (3600, "1 hour"), (5, "5 seconds"), (86400, "1 day")]
)
def test_steps_in_words(seconds: int, text: str) -> None:
    assert span(np.timedelta64(seconds, "s")) == text


def test_prepare_writes_the_page_and_the_same_again(small_dataset: Path, tmp_path: Path) -> None:
    html = (small_dataset / PAGE).read_text(encoding="utf-8")
    dataset = open_dataset(small_dataset)
    assert f"<dd>{len(dataset.times)}</dd>" in html
    assert all(f'id="{name}"' in html for name in dataset.names)
    copy = shutil.copytree(small_dataset, tmp_path / "copy.zarr")
    (copy / PAGE).unlink()
    write_page(copy)
    assert (copy / PAGE).read_text(encoding="utf-8") == html
