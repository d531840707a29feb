"""The site builds without a warning, holds together, and its reference is all that there is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
from mkdocs.commands.build import build
from mkdocs.config import load_config

import weatherml
from cli.families import registries
from cli.main import app
from tests.documented import ROOT
from weatherml import errors
from weatherml.forecast.blend.config import BlendConfig
from weatherml.run.experiment import resolve
from weatherml.variables import Variable

LOADED = {"script": "src", "img": "src", "link": "href"}
FAMILIES = list(registries())


class Html(HTMLParser):
    """What a page links to, what it loads, its anchors, and its words in `code`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.codes: set[str] = set()
        self.in_code = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given["id"]} if "id" in given else set()
        self.in_code |= tag == "code"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given and given.get("rel") != "canonical":
            self.loaded.append(given[LOADED[tag]])

    def handle_endtag(self, tag: str) -> None:
        self.in_code &= tag != "code"

    def handle_data(self, data: str) -> None:
        if self.in_code:
            self.codes.add(data)


@cache
def read(path: Path) -> Html:
    return Html(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a warning of mkdocs ends the build."""
    folder = tmp_path_factory.mktemp("site")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python: others' packages
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    return folder


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) > 30
    for page in pages:
        html = read(page)
        for link in html.loaded:
            assert urlsplit(link).scheme in ("", "data"), f"{page}: loads {link}"
        for link in [*html.links, *html.loaded]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page}: {link}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in read(target).anchors, f"{page}: {link}"


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = read(site / "reference/command-line.html")
    shown = " ".join(page.codes)
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"wml-{name}" in page.anchors
        for option in (each for parameter in command.params for each in parameter.opts):
            assert option in shown, f"{name} {option}"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_member_and_each_of_its_keys_is_in_the_reference(site: Path, family: str) -> None:
    page, registry = read(site / f"reference/{family}.html"), registries()[family]
    for name in registry:
        assert name.replace("+", "p") in page.anchors
        assert registry[name].model_fields.keys() <= page.codes, name


def paths(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Every key of nested settings, with dots."""
    for key, value in settings.items():
        yield f"{above}{key}"
        yield from paths(value, f"{above}{key}.") if isinstance(value, Mapping) else ()


def test_every_key_of_an_experiment_a_variable_and_a_blend_is_in_the_reference(site: Path) -> None:
    codes = read(site / "reference/configuration.html").codes
    experiment = resolve(None, model="edm", assignments=["data.storms.share=0.5"]).settings()
    elsewhere = {"model": {}, "loss": {}, "sampler": {}}  # on the families' pages
    assert {*paths(experiment | elsewhere)} <= codes
    assert {"train.validation.every", "data.storms.threshold"} <= codes
    assert Variable.model_fields.keys() | BlendConfig.model_fields.keys() <= codes


def test_what_the_reference_says_of_a_key(site: Path) -> None:
    """Of one: what it takes, its default, and its meaning, from type, class and docstring."""
    text = " ".join((site / "reference/configuration.html").read_text(encoding="utf-8").split())
    assert (
        "<td><code>train.clip</code></td> <td>number, above 0</td> <td><code>1.0</code></td> "
        "<td>largest gradient norm.</td>"
    ) in text


def test_every_exit_code_and_every_public_name_is_in_the_reference(site: Path) -> None:
    codes = read(site / "reference/errors.html").codes
    found = [name for name, each in vars(errors).items() if isinstance(each, type) and "exit_code" in vars(each)]
    assert len(found) > 8
    assert {*found} <= codes
    python = read(site / "reference/python.html").anchors
    for name in weatherml.__all__:
        assert any(anchor.endswith(f".{name}") for anchor in python), name


def test_links_of_the_repository_that_have_no_page_are_names_of_files(site: Path) -> None:
    page = read(site / "contributing.html")
    assert "weatherml/models/unet_residual.py" in page.codes
    assert not any(link.endswith(".py") for link in page.links)


def test_every_tutorial_is_a_page_with_its_code(site: Path) -> None:
    for notebook in (ROOT / "docs/tutorials").glob("*.ipynb"):
        page = site / "tutorials" / f"{notebook.stem}.html"
        assert "highlight" in page.read_text(encoding="utf-8")
        assert (page.parent / notebook.name).is_file()
