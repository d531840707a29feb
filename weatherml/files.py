"""One way to write an output: lock it, write beside it, fsync, rename. Old or new, never half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from weatherml.errors import BadDataError, DiskError, OutputError, reason


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what replaces the file at `path`, in one step and durably, when the block ends."""
    temporary = path.with_name(f".{path.name}.tmp")  # the same each time: what a killed writer left is overwritten
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # a full disk leaves no litter


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around a library that writes `path` and hides the system's error: HDF5, torch's archives, safetensors.

    Raises:
        DiskError: the disk is full or fails.
        OSError: what the library passed on.
    """
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise DiskError(f"{path}: cannot be written, or the disk is full ({reason(error)}); make room") from None


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` in one step, durably."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")  # the same bytes on every system


def write_json(path: Path, value: Any) -> None:
    """Replace the JSON file at `path` in one step, durably."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        BadDataError: missing, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadDataError(f"{path}: cannot be read as JSON ({error}); the output it belongs to is broken") from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a log, a JSON object a line; none where nothing is there.

    Raises:
        BadDataError: a line is none; names it.
    """
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [_read_line(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]


def _read_line(line: bytes, at: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadDataError(f"{at} cannot be read as JSON ({error}); take it out") from None
    if not isinstance(found, dict):
        raise BadDataError(f"{at} holds no keys; take it out")
    return found


def partial_path(path: Path) -> Path:
    """Where an unfinished output lies until it is whole."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def output_lock(path: Path) -> Iterator[None]:
    """Hold the only right to write at `path`; made with its parent folder if need be.

    Raises:
        OutputError: another process holds it (named), or the folder cannot be written.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    holder = path.with_name(f".{path.name}.holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        holder.write_text(f"process {os.getpid()}", encoding="utf-8")
    except Timeout:
        raise OutputError(f"{path}: {_name(holder)} is writing it; wait for it, or choose another output") from None
    except OSError as error:
        lock.release()
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another output") from None
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        with suppress(OSError):  # while it is held: who opened it before finds it unlinked and tries again
            Path(lock.lock_file).unlink()
        lock.release()


def _name(holder: Path) -> str:
    with suppress(OSError):  # it may just have finished
        return holder.read_text(encoding="utf-8")
    return "another process"


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError where a finished output already stands and may not be replaced."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; choose another --output, or replace it with --overwrite")


def publish(partial: Path, path: Path) -> None:
    """Move a finished output to its place, durably; what stood there is removed only after that."""
    sync(partial)
    old = path.with_name(f".{path.name}.old")
    remove(old)
    if path.exists():
        path.replace(old)
    partial.replace(path)
    _sync_folder(path.parent)
    remove(old)


def sync(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
        _sync_folder(path)
    else:
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    with suppress(OSError):  # not every system lets a folder be synced
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove(path: Path) -> None:
    """Delete a file or a tree, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_free(path: Path, needed: int) -> None:
    """Raise DiskError where fewer than `needed` bytes are free at `path`'s folder."""
    free = free_bytes(path)
    if free < needed:
        raise DiskError(f"{path}: needs {readable_size(needed)}, {readable_size(free)} free; make room")


def free_bytes(path: Path) -> int:
    """Room on the disk where `path` lies, or will."""
    folder = next(parent for parent in [path, *path.absolute().parents] if parent.is_dir())
    return shutil.disk_usage(folder).free


def readable_size(size: float) -> str:
    """`1.5 GiB` for 1610612736."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def tree_size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
