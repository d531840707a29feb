"""The list of a dataset's inputs, each with its size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def manifest(inputs: dict[str, int], known: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of each input, sorted by name; the hashes of `known` entries are taken over."""
    hashes = {(entry["path"], entry["bytes"]): entry["sha256"] for entry in known}
    return [_entry(path, size, hashes) for path, size in sorted(inputs.items())]


def _entry(path: str, size: int, hashes: dict[tuple[str, int], str | None]) -> dict[str, Any]:
    known = hashes[path, size] if (path, size) in hashes else sha256(Path(path))
    return {"path": path, "bytes": size, "sha256": known}


def sha256(path: Path) -> str | None:
    """The hash of a file, or of a folder's files by name and content; None for what is not local."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.is_dir():
        total = hashlib.sha256()
        for inner in sorted(each for each in path.rglob("*") if each.is_file()):
            total.update(f"{inner.relative_to(path).as_posix()} {sha256(inner)}\n".encode())
        return total.hexdigest()
    return None
