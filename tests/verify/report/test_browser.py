"""The report in headless Chromium: nothing is fetched, nothing overlaps, all of it is for keyboards and phones too."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.report.browser import (
    CONTRASTS,
    FOCUSED,
    FOLD,
    GROUND,
    IMAGES,
    LABELS,
    UNFOLD,
    Opened,
    chromium,
    opened,
    saved,
    saved_rows,
)
from tests.verify.report.conftest import MakeReport
from weatherml.verify.scores.scores import Scores

Report = tuple[Scores, Path]
browser = pytest.fixture(chromium, scope="module")


@pytest.fixture(scope="module")
def report(make_report: MakeReport, tmp_path_factory: pytest.TempPathFactory) -> Report:
    scores, html = make_report(leads=9)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return scores, path


@pytest.fixture(
    scope="module", params=[(theme, width) for theme in ("light", "dark") for width in (360, 768, 1280)], ids=str
)
def seen(request: pytest.FixtureRequest, browser: Any, report: Report) -> Iterator[tuple[Opened, int]]:
    """The page in each theme and at each width, all of it unfolded."""
    theme, width = request.param
    with opened(browser, report[1], theme=theme, width=width) as found:
        found.ask(UNFOLD)
        yield found, width


@pytest.fixture(scope="module")
def desk(browser: Any, report: Report) -> Iterator[Opened]:
    """The page on a wide screen, as it opens."""
    with opened(browser, report[1]) as found:
        yield found


def test_nothing_is_fetched_and_nothing_fails(seen: tuple[Opened, int]) -> None:
    assert seen[0].wrong == []
    widths = seen[0].ask(IMAGES)
    assert len(widths) > 20
    assert min(widths) > 0


def test_the_page_fits_its_window_and_no_labels_overlap(seen: tuple[Opened, int]) -> None:
    found, width = seen
    assert found.ask("document.documentElement.scrollWidth") <= width
    assert found.ask(LABELS) == []


def test_text_stands_out(seen: tuple[Opened, int]) -> None:
    assert seen[0].ask(CONTRASTS) == []


def test_the_tab_key_reaches_everything(desk: Opened) -> None:
    reached = []
    for _ in range(40):
        desk.page.keyboard.press("Tab")
        reached.append(desk.ask(FOCUSED))
    wanted = {"theme", "card-forecast", "card-against", "play", "frame", "Save mine against persistence", "Save rmse"}
    assert wanted <= set(reached)
    assert sum("cell" in name for name in reached) == 1  # from there on the arrow keys
    assert [name for name in reached if name in ("theme", "card-forecast", "play")] == [
        "theme",
        "card-forecast",
        "play",
    ]


def test_the_theme_can_be_chosen_and_is_kept(browser: Any, report: Report) -> None:
    with opened(browser, report[1], theme="dark") as found:
        dark = found.ask(GROUND)
        found.page.get_by_role("button", name="Light colours").click()
        light = found.ask(GROUND)
        assert light != dark
        found.page.reload()
        assert found.ask(GROUND) == light
        found.page.get_by_role("button", name="Dark colours").click()
        assert found.ask(GROUND) == dark


def test_the_score_card_tells_each_cell(desk: Opened, report: Report) -> None:
    card, told = desk.page.locator("#score-card"), desk.page.locator("#told")
    card.locator("figure:visible .cell").first.focus()
    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("ArrowRight")
    comparison = report[0].comparisons["mine"]["persistence"]["refc"]["crps"]
    text = told.inner_text()  # 9 leads are shown as 2, 4, 6, 8 h
    assert text.startswith("refc, CRPS at 4 h: mine ")
    assert f"nearer to perfect by {float(comparison.gain[3]):.3g}" in text
    assert text.endswith("significant")
    assert card.locator(".cell:focus").inner_text().startswith(f"{100 * float(comparison.skill[3]):+.0f}")
    desk.page.select_option("#card-forecast", "theirs")
    desk.page.select_option("#card-against", "mine")
    assert card.locator("figure:visible").get_attribute("data-export") == "theirs against mine"
    desk.page.select_option("#card-forecast", "mine")  # none is held against itself
    assert card.locator("figure:visible").get_attribute("data-export") == "mine against persistence"


def test_csv_has_the_numbers_of_the_chart(desk: Opened, report: Report) -> None:
    rows = saved_rows(desk, "#refc figure[data-export=rmse]")
    curve = report[0].curves["mine"]["refc"]["rmse"]
    mine = [row for row in rows if row["series"] == "mine"]
    assert {row["series"] for row in rows} == {"mine", "theirs", "persistence"}
    assert [float(row["lead time (h)"]) for row in mine] == list(range(1, 10))
    for column, values in (("rmse", curve.value), ("low", curve.low), ("high", curve.high)):
        np.testing.assert_allclose([float(row[column]) for row in mine], values, rtol=1e-5)


@pytest.mark.parametrize("figure", ["#refc figure[data-export=rmse]", "#animation", "#cases", "#score-card figure"])
def test_pictures_stand_alone(figure: str, desk: Opened) -> None:
    svg = ET.fromstring(saved(desk, figure, "SVG").read_text(encoding="utf-8"))
    text = ET.tostring(svg, encoding="unicode")
    assert not re.search(r"var\(|class=\"line\"[^>]*style=\"\"|<[^>]*:?use\b|href=\"(?!data:)", text)
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}text"))) > 5
    png = saved(desk, figure, "PNG").read_bytes()
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (2 * int(svg.attrib["width"]), 2 * int(svg.attrib["height"]))


def test_a_menu_closes_without_a_choice(desk: Opened) -> None:
    menu = desk.page.locator("#refc figure[data-export=rmse] .export")
    menu.locator("summary").focus()
    desk.page.keyboard.press("Enter")
    assert menu.get_attribute("open") is not None
    desk.page.keyboard.press("Tab")
    assert desk.ask("document.activeElement.textContent") == "PNG"
    desk.page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None


def test_the_animation_plays_by_keys_and_stops_out_of_sight(desk: Opened) -> None:
    play, slider = desk.page.locator("#play"), desk.page.locator("#frame")
    picture = desk.page.locator("#animation image").first
    play.focus()
    first = picture.get_attribute("href")
    desk.page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    assert picture.get_attribute("href") != first
    assert desk.page.locator("#lead").inner_text().startswith("+2 h")
    slider.focus()
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("ArrowLeft")  # no further than the first
    assert slider.input_value() == "0"
    play.press("Enter")
    desk.page.wait_for_function("document.getElementById('frame').value > 0")
    assert play.inner_text() == "Pause"
    desk.page.locator("#glossary").scroll_into_view_if_needed()
    desk.page.wait_for_function("document.getElementById('play').textContent === 'Play'")


def test_less_motion_steps_instead_of_playing(browser: Any, report: Report) -> None:
    with opened(browser, report[1], still=True) as found:
        found.page.get_by_role("button", name="Next").click()
        assert found.page.locator("#frame").input_value() == "1"


def test_a_link_unfolds_its_section(desk: Opened) -> None:
    assert desk.page.locator("#t2m").get_attribute("open") is None
    desk.page.get_by_role("link", name="2 m temperature").click()
    desk.page.wait_for_function("document.getElementById('t2m').open")
    desk.ask(FOLD)
