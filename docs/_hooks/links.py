"""Links of pages that are read in the repository too: those that leave `docs/` lead to a page, or name the file."""

from __future__ import annotations

import posixpath
import re

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
PAGES = {"README.md": "docs/index.md", "CHANGELOG.md": "docs/changes.md", "CONTRIBUTING.md": "docs/contributing.md"}
TUTORIALS = "tutorials"
FROM_ROOT = frozenset({"changes.md", "contributing.md"})
"""Pages whose text stands in the repository's root, and its links with it."""


def mended(markdown: str, page: str) -> str:
    """The text of a page (its path in `docs/`) with links that the site can follow."""
    folder = "" if page in FROM_ROOT else posixpath.dirname(f"docs/{page}")
    return LINK.sub(lambda link: _mended(link, folder, posixpath.dirname(page)), markdown)


def _mended(link: re.Match[str], folder: str, here: str) -> str:
    path, mark, anchor = link[2].partition("#")
    target = posixpath.normpath(posixpath.join(folder, path))
    target = PAGES.get(target, target)
    if here != TUTORIALS and target.startswith(f"docs/{TUTORIALS}/"):
        target = target.replace(".ipynb", ".md")
    if not target.startswith("docs/"):
        return f"`{target}`"
    return f"[{link[1]}]({posixpath.relpath(target, f'docs/{here}')}{mark}{anchor})"
