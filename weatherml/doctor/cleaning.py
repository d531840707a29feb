"""Removing what no finished output needs: what dead writers left, and checkpoints beyond the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from weatherml.doctor.leftovers import RECENT_S, Leftover, age_s, folders, holder, leftovers, needed, rescue
from weatherml.errors import BadDataError, MissingInputError, OutputError
from weatherml.files import output_lock, remove, tree_size
from weatherml.run import checkpoint
from weatherml.run.directory import STATUS

LOCKS = ("lock", "holder")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What was removed, or would be.

    Attributes:
        path: where it lay.
        size: in bytes.
        kept: why it stays; empty where it goes.
    """

    path: Path
    size: int
    kept: str = ""


def clean(
    paths: Iterable[Path],
    *,
    dry_run: bool = False,
    keep_checkpoints: int = checkpoint.KEPT,
    recent: bool = False,
) -> Iterator[Removal]:
    """Remove what no finished output needs, and tell of each thing that went or had to stay.

    Args:
        paths: outputs, or folders of them; links inside are not followed.
        dry_run: remove nothing.
        keep_checkpoints: of each run, newest first; `best` stays beside them.
        recent: also what was written within the last hour.

    Raises:
        MissingInputError: a path with nothing there.
    """
    for path in paths:
        found = {each: _found(each.path, reason_to_stay(each, recent=recent)) for each in leftovers(path)}
        if not found and not path.exists():
            raise MissingInputError(f"{path}: nothing there; give an output, or a folder of them")
        for each, removal in found.items():
            yield removal if dry_run else _done(removal, each.guard, lock=each.form in LOCKS)
        for run in (folder for folder in folders(path) if (folder / STATUS).is_file()):
            for folder in surplus(run / "checkpoints", keep_checkpoints):
                removal = _found(folder, _held(run))
                yield removal if dry_run else _done(removal, run)


def surplus(folder: Path, keep: int) -> list[Path]:
    """The checkpoints older than the `keep` newest that are whole; a damaged one is no reason to lose a sound one."""
    found = checkpoint.steps(folder)
    if len(found) <= keep:
        return []
    sound = [step for step in found if _sound(folder / f"step-{step}")]
    return [folder / f"step-{step}" for step in found if len(sound) >= keep and step < sound[-keep]]


def _sound(path: Path) -> bool:
    try:
        checkpoint.verify(path)
    except BadDataError:
        return False
    return True


def reason_to_stay(found: Leftover, *, recent: bool) -> str:
    """Why a leftover stays, in words; empty where it can go."""
    if reason := needed(found):
        return f"{reason}; {rescue(found)}"
    if reason := _held(found.guard):
        return reason
    if not recent and age_s(found.path) < RECENT_S:
        return "written within the last hour; --all takes it too"
    return ""


def _held(output: Path) -> str:
    name = holder(output)
    return f"{name} is writing {output}" if name else ""


def _found(path: Path, kept: str) -> Removal:
    return Removal(path=path, size=tree_size(path), kept=kept)


def _done(removal: Removal, guard: Path, *, lock: bool = False) -> Removal:
    """Remove one thing with its writer's lock held, so that nobody takes it up meanwhile."""
    if removal.kept:
        return removal
    try:
        with output_lock(guard):
            if not lock:  # locks go when they are let go
                remove(removal.path)
    except OutputError as error:
        return replace(removal, kept=str(error))
    return removal
