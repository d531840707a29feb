"""What writers leave beside their outputs when they are killed, told by its name and by what is in it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from weatherml.data.store import MARKER
from weatherml.doctor.kinds import kind_of
from weatherml.run.directory import STATUS

NAMES = re.compile(r"\.(?P<output>.+?)(?:\.\d+)?\.(?P<form>partial|old|tmp|lock|holder)")
"""As `weatherml.files` names them; earlier versions put the process before `tmp`."""
TRACES = frozenset({
    "zarr", "store", "progress.json", "request.json", "average.safetensors", "report.html", "scored.json", MARKER,
})  # fmt: skip
"""One of them begins a name in every unfinished output; zarr writes `zarr.json` as `zarr.HEX.partial` first."""
GUARDS = {"parts": "scores"}
"""What is written under the lock of another output beside it."""
SUFFIXES = frozenset({
    ".json", ".jsonl", ".yaml", ".html", ".nc", ".safetensors", ".pt2", ".png", ".svg", ".pdf", ".csv",
})  # fmt: skip
"""Of files that are replaced in one step."""
RECENT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What a writer left.

    Attributes:
        path: where it lies.
        output: what the writer was to make.
        form: how it is named.
    """

    path: Path
    output: Path
    form: str

    @property
    def guard(self) -> Path:
        """The output whose lock its writer holds: the run that it lies in, or its own output."""
        beside = self.output.with_name(GUARDS.get(self.output.name, self.output.name))
        return next((folder for folder in self.path.parents if (folder / STATUS).is_file()), beside)


def leftovers(path: Path) -> Iterator[Leftover]:
    """Those in a folder and below (see `folders`), and those beside an output."""
    if kind_of(path) is not None or not path.is_dir():
        yield from (each for each in _in(path.parent) if each.output.name == path.name)
    for folder in folders(path):
        yield from _in(folder)


def folders(path: Path) -> Iterator[Path]:
    """A folder and those below it, but nothing finished, hidden or linked."""
    if not path.is_dir() or (path / MARKER).is_file() or (path / "zarr.json").is_file():  # a store, or a checkpoint
        return
    yield path
    for inner in sorted(path.iterdir()):
        if inner.name[0] != "." and not inner.is_symlink():
            yield from folders(inner)


def _in(folder: Path) -> Iterator[Leftover]:
    """Those that lie in a folder itself."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = NAMES.fullmatch(path.name)
        if match and not path.is_symlink():
            found = Leftover(path=path, output=folder / match["output"], form=match["form"])
            if OURS[found.form](found):
                yield found


def _small(found: Leftover) -> bool:
    return found.path.is_file() and found.path.stat().st_size < 100


OURS: dict[str, Callable[[Leftover], bool]] = {
    "partial": lambda found: found.path.is_dir() and _traced(found.path),
    "old": lambda found: _finished(found.path) or (found.path.is_file() and found.output.suffix == ".nc"),
    "tmp": lambda found: found.path.is_file() and found.output.suffix in SUFFIXES,
    "lock": lambda found: _small(found) and found.path.stat().st_size == 0,
    "holder": lambda found: _small(found) and found.path.read_bytes().startswith(b"process "),
}
"""By form, whether a writer of ours left it: others use such names too."""


def _finished(path: Path) -> bool:
    return kind_of(path) is not None or (path / MARKER).is_file()


def _traced(path: Path) -> bool:
    names = [inner.name.lstrip(".") for inner in path.iterdir()]
    return not names or any(name == trace or name.startswith(f"{trace}.") for name in names for trace in TRACES)


def holder(output: Path) -> str:
    """Who writes at `output` now; empty where nobody does."""
    lock = output.with_name(f".{output.name}.lock")
    if not lock.is_file():
        return ""
    try:
        with FileLock(lock, timeout=0):
            return ""
    except (Timeout, OSError):  # held, or not ours to touch
        name = "another process"
        with suppress(OSError):
            name = output.with_name(f".{output.name}.holder").read_text(encoding="utf-8")
        return name


def age_s(path: Path) -> float:
    """Seconds since anything in a file or tree was written."""
    written = [path, *(Path(folder, name) for folder, inner, files in os.walk(path) for name in (*inner, *files))]
    return time.time() - max(each.lstat().st_mtime for each in written)


def needed(found: Leftover) -> str:
    """Why a leftover may not go, in words; empty where it may."""
    return next((reason for applies, reason in NEEDED if applies(found)), "")


NEEDED: tuple[tuple[Callable[[Leftover], bool], str], ...] = (
    (lambda found: found.form == "old" and not found.output.exists(), "its replacement never came"),
    (lambda found: found.form == "partial" and _whole(found.path) and not found.output.exists(), "it is whole"),
)
"""What is the only copy of a finished output."""


def rescue(found: Leftover) -> str:
    """What makes an output of a leftover that is needed."""
    store = found.path / "store"
    if store.is_dir() and found.output.suffix == ".nc":
        return "run its command again"
    return f"`mv {store if store.is_dir() else found.path} {found.output}`"


def _whole(path: Path) -> bool:
    return any((path / place).is_file() for place in (MARKER, f"store/{MARKER}"))
