"""Filling templates: those of a package, and this package's style sheet and figures beside them."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any

import jinja2

SHARED = "weatherml.page"


def fill(package: str, template: str, context: Mapping[str, Any]) -> str:
    """The template that lies in `package`, with what it shows; everything is escaped."""
    folders = [jinja2.FunctionLoader(_reader(folder)) for folder in (package, SHARED)]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(folders), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(context)


def _reader(package: str) -> Callable[[str], str | None]:
    folder = importlib.resources.files(package)

    def read(name: str) -> str | None:
        file = folder.joinpath(name)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return read
