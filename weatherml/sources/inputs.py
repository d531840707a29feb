"""What `--input` names: files, folders that are searched through, and globs."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from weatherml.errors import MissingInputError

Test = Callable[[Path], bool]


def input_paths(inputs: Sequence[str], wanted: Test, *, what: str, whole: Test = Path.is_file) -> list[Path]:
    """The paths that `inputs` stand for, each once, in order.

    Args:
        inputs: files, folders and globs; a file named as such is taken whatever it is.
        wanted: which files are taken from folders and globs.
        what: their kind in words, for messages.
        whole: which paths are one input; stores are folders that are.

    Raises:
        MissingInputError: an input that is not there, or holds nothing wanted.
    """
    if not inputs:
        raise MissingInputError(f"--input: no input; name a folder, glob or file of {what}")
    found = [path for text in inputs for path in _expand(text, wanted, what, whole)]
    return sorted({path.resolve(): path for path in found}.values())


def _expand(text: str, wanted: Test, what: str, whole: Test) -> list[Path]:
    path = Path(text)
    if whole(path):
        return [path]
    matches = [path] if path.is_dir() else [Path(match) for match in glob.iglob(text, recursive=True)]  # noqa: PTH207 - may be absolute
    found = [entry for match in matches for entry in _search(match, whole) if wanted(entry)]
    if not found:
        problem = f"holds no {what}" if matches else "no such file or folder"
        raise MissingInputError(f"{text}: {problem}; name a folder, glob or file of {what}")
    return found


def _search(path: Path, whole: Test) -> list[Path]:
    """`path` itself, or everything whole that lies under it."""
    return [path] if whole(path) else [entry for entry in path.rglob("*") if whole(entry)]
