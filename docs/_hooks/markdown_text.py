"""Text and tables of docstrings and schemas, as Markdown that shows them as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"(`[^`]*`)")


def prose(text: str) -> str:
    """A docstring's text: signs outside `code` are what they are, not Markdown."""
    parts = CODE.split(text)
    plain = [re.sub(r"([*_[])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(piece for pair in zip(plain, [*parts[1::2], ""], strict=True) for piece in pair)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; nothing where there are no rows."""
    lines = [" | ".join(cell(each) for each in row) for row in rows]
    head = [" | ".join(columns), " | ".join("---" for _ in columns)]
    return "\n".join(f"| {line} |" for line in [*head, *lines]) + "\n" if lines else ""


def cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """`text`, or nothing where it is empty."""
    return f"`{text}`" if text else ""
