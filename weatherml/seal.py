"""Descriptions that tell whether a bit of them, or of the files that they name, has changed since they were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from weatherml.errors import BadDataError
from weatherml.files import read_json, write_text
from weatherml.schema import KEY, SCHEMAS, Description

SEAL = "seal"


def write_description(path: Path, kind: str, description: Description) -> None:
    """Write the JSON that readers of an output of this kind begin with: its version first, its seal last."""
    write_text(path, _sealed({KEY: SCHEMAS[kind].current, **description}))


def read_description(path: Path, kind: str) -> Description:
    """What `write_description` wrote, or a version before: in today's form.

    Raises:
        BadDataError: not there, changed since it was written, or of a version that is not read.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise BadDataError(f"{path}: damaged; {SCHEMAS[kind].again}")
    upgraded = SCHEMAS[kind].upgraded(found, path)
    if not isinstance(upgraded.get("files"), dict):
        raise BadDataError(f"{path}: damaged (names no files); {SCHEMAS[kind].again}")
    rest = {key: value for key, value in found.items() if key != SEAL}
    if SCHEMAS[kind].sealed(found) and path.read_bytes() != _sealed(rest).encode():
        raise BadDataError(f"{path}: changed since it was written; restore it, or {SCHEMAS[kind].again}")
    return upgraded


def _sealed(description: Description) -> str:
    digest = hashlib.sha256(json.dumps(description).encode()).hexdigest()
    return json.dumps(description | {SEAL: digest}, indent=2, ensure_ascii=False) + "\n"


def file_hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files by their names below `folder`."""
    return {name: _sha256(folder / name) for name in names}


def require_unchanged(folder: Path, hashes: Mapping[str, str], otherwise: str) -> None:
    """Raise BadDataError, with what to do `otherwise`, where a file is lost or differs from its hash."""
    for name, digest in hashes.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise BadDataError(f"{folder / name}: changed or lost since it was written; {otherwise}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
