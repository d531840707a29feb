"""What mkdocs cannot read from a file: the reference from the code, notebooks, and links out of `docs/`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_page import commands
from error_page import exit_codes
from experiment_page import blend, experiment, variable
from family_page import family_page, models_at_a_glance
from links import mended
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_page import to_markdown
from python_page import door

from cli.families import registries

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"^<!-- generated: ([a-z-]+) -->$", flags=re.MULTILINE)
PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "experiment": experiment,
    "blend": blend,
    "variable": variable,
    "models": models_at_a_glance,
    "exit-codes": exit_codes,
    "door": door,
    "changes": lambda: (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    "contributing": lambda: (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
}
"""What stands for `<!-- generated: NAME -->` in a page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the families' pages in the navigation, at the end of the reference."""
    reference = next(entry["Reference"] for entry in config.nav or () if "Reference" in entry)
    reference += [{name.capitalize(): f"reference/{name}.md"} for name in registries()]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page a family of members, and a page a notebook."""
    for name in registries():
        files.append(File.generated(config, f"reference/{name}.md", content=family_page(name)))
    for path in Path(config.docs_dir, "tutorials").glob("*.ipynb"):
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=to_markdown(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Put what is generated in its place, then mend links that leave `docs/`."""
    return mended(MARK.sub(lambda mark: PARTS[mark[1]](), markdown), page.file.src_uri)
