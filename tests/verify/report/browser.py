"""A page in headless Chromium, and what is asked of it there; modules that import this skip without playwright."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NARROW = 360

GROUND = "getComputedStyle(document.body).backgroundColor"
BARE = "[...document.querySelectorAll('figure svg.chart')].filter(svg => !svg.closest('[data-export]')).length"
UNFOLD = "document.querySelectorAll('details:not(.export)').forEach(each => each.open = true)"
FOLD = "document.querySelectorAll('details.group').forEach(each => each.open = false)"

LABELS = """() => [...document.querySelectorAll("svg.chart")].flatMap(svg => {
  const whole = svg.getBoundingClientRect(), found = [];
  const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
  const boxes = texts.map(text => text.getBoundingClientRect());
  texts.forEach((text, i) => {
    if (boxes[i].left < whole.left - 1 || boxes[i].right > whole.right + 8) found.push(`${text.textContent} is cut`);
    for (let j = 0; j < i; j++) {
      const wide = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
      const high = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
      if (wide > 0.5 && high > 3) found.push(`${texts[j].textContent} | ${text.textContent}`);  // boxes hold leading
    }
  });
  return found;
})"""

IMAGES = """async () => {
  const sources = [...document.querySelectorAll("image")].map(image => image.getAttribute("href"));
  return Promise.all(sources.map(async source => {
    const image = Object.assign(new Image(), {src: source});
    await image.decode();
    return image.naturalWidth;
  }));
}"""

# Web Content Accessibility Guidelines 2.2, relative luminance and contrast ratio
CONTRASTS = """() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, i) => a * value + (1 - a) * below[i]);
  const own = element => parts(getComputedStyle(element).backgroundColor);
  const ground = element => element ? over(own(element), ground(element.parentElement)) : [255, 255, 255];
  const linear = share => share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  const light = color => color.map(value => linear(value / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = new Set();
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("title, option")) continue;
    const below = ground(element), color = over(parts(element.closest("svg") ? style.fill : style.color), below);
    const [high, low] = [light(color), light(below)].sort((a, b) => b - a), ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) faint.add(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return [...faint];
}"""

FOCUSED = """() => {
  const element = document.activeElement;
  return element.id || element.getAttribute("aria-label") || element.className || element.tagName;
}"""


def chromium() -> Iterator[Browser]:
    """A fixture, for `pytest.fixture`."""
    if CHROMIUM is None:
        pytest.skip("no chromium on the path")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Opened:
    """A page, and what went wrong in it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)


@contextmanager
def opened(
    browser: Browser, path: Path, *, theme: str = "light", width: int = 1280, still: bool = False
) -> Iterator[Opened]:
    """The page at `path`, without a network."""
    look: Any = {"color_scheme": theme, "reduced_motion": "reduce" if still else "no-preference"}
    context = browser.new_context(viewport={"width": width, "height": 800}, accept_downloads=True, **look)
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.wrong.append(message.text))
    found.page.on("pageerror", lambda error: found.wrong.append(str(error)))
    found.page.on("requestfailed", lambda request: found.wrong.append(request.url[:80]))
    found.page.goto(path.as_uri())
    yield found
    context.close()


def saved(found: Opened, figure: str, form: str) -> Path:
    """What the menu of a figure gives."""
    menu = found.page.locator(f"{figure} .export").first
    menu.locator("summary").click()
    with found.page.expect_download() as download:
        menu.get_by_role("button", name=form).click()
    assert download.value.suggested_filename.endswith(form.lower())
    return Path(download.value.path())


def saved_rows(found: Opened, figure: str) -> list[dict[str, str]]:
    """The numbers of a figure."""
    with saved(found, figure, "CSV").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def checked_rows(browser: Browser, path: Path, figure: str) -> list[dict[str, str]]:
    """The numbers of a figure of a page that is sound on a phone in either theme, where every chart has a menu."""
    with opened(browser, path, width=NARROW) as found:
        found.ask(UNFOLD)
        assert found.ask("document.documentElement.scrollWidth") <= NARROW
        assert found.ask(LABELS) == []
        assert found.ask(CONTRASTS) == []
        assert found.ask(BARE) == 0
        light = found.ask(GROUND)
        found.page.get_by_role("button", name="Dark colours").click()
        assert found.ask(GROUND) != light
        assert found.ask(CONTRASTS) == []
        rows = saved_rows(found, figure)
        assert found.wrong == []
    return rows
