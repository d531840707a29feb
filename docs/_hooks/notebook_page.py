"""A notebook as a page: its texts, its code, and the outputs that it was saved with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def to_markdown(path: Path) -> str:
    """The page, with the notebook itself to take along."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _parts(cell)]
    return "\n\n".join([*parts, f"[This page as a notebook]({path.name})", ""])


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield _text(cell["source"])
    elif cell["cell_type"] == "code":
        yield f"```python\n{_text(cell['source'])}\n```"
        yield from (_output(each) for each in cell["outputs"])


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![output of the code above](data:image/png;base64,{_text(data['image/png']).strip()})"
    return f"```text\n{_text(data.get('text/plain', output.get('text', ''))).rstrip()}\n```"


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
