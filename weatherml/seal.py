"""Descriptions that tell whether a bit of them, or of the files that they name, has changed since they were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from weatherml.errors import BadDataError
from weatherml.files import write_text
from weatherml.schema import KEY, SCHEMAS, Description, Schema

VOUCHED, SEAL = "files", "seal"
MARKS = frozenset({KEY, VOUCHED, SEAL})
"""What a description says of itself: its version, the hashes of the files that it vouches for, and of its own."""


def write_description(path: Path, kind: str, description: Description) -> None:
    """Write the JSON that readers of an output of this kind begin with: its version first, its seal last."""
    write_text(path, _sealed({KEY: SCHEMAS[kind].current, **description}, SCHEMAS[kind]))


def read_description(path: Path, kind: str) -> Description:
    """What `write_description` wrote, or a version before: in today's form, with the `files` that it vouches for.

    Raises:
        BadDataError: not there, changed since it was written, or of a version that is not read.
    """
    schema = SCHEMAS[kind]
    found, genuine = _read(path, schema)
    if schema.plain and MARKS.isdisjoint(found):
        found = {KEY: 1, **found}
    upgraded: Description = {VOUCHED: {}} | schema.upgraded(found, path)
    if not isinstance(upgraded[VOUCHED], dict):
        raise BadDataError(f"{path}: damaged (names no files); {schema.again}")
    sealed = SEAL in found or schema.sealed(found)  # a flipped bit may make the version one that carried no seal
    if sealed and not genuine:
        raise BadDataError(f"{path}: changed since it was written; restore it, or {schema.again}")
    upgraded.pop(SEAL, None)
    return upgraded


def content(description: Description) -> Description:
    """What a description says beside its marks."""
    return {key: value for key, value in description.items() if key not in MARKS}


def _read(path: Path, schema: Schema) -> tuple[Description, bool]:
    """What stands in a file, and whether its seal fits; read once, for another may be written meanwhile."""
    try:
        text = path.read_bytes().decode()
        found = json.loads(text)
        if not isinstance(found, dict):
            raise BadDataError(f"{path}: damaged; {schema.again}")
        rest = {key: value for key, value in found.items() if key != SEAL}
        return found, text == _sealed(rest, schema)
    except (OSError, ValueError, RecursionError) as error:
        raise BadDataError(f"{path}: cannot be read as JSON ({error}); restore it, or {schema.again}") from None


def _sealed(description: Description, schema: Schema) -> str:
    digest = hashlib.sha256(json.dumps(description).encode()).hexdigest()
    return json.dumps(description | {SEAL: digest}, indent=schema.indent, ensure_ascii=False) + "\n"


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
