"""Checks of the installation: Python, packages, device, memory and disks."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from weatherml.doctor.finding import Finding, failure, note, ok, problem
from weatherml.files import free_bytes, readable_size, remove
from weatherml.places import DATA, FORECASTS, RUNS
from weatherml.train.planning.sizes import free_memory

PACKAGE = "weatherml"
REINSTALL = "`pip install --upgrade weatherml`"
LEAST_FREE, MUCH_FREE = 1 << 30, 20 << 30
LEAST_MEMORY = 4 << 30
TRIAL_BYTES = 64 << 20
SLOW_MB_S = 50.0
PROGRAMS = {"ffmpeg": "animations as .mp4; `apt install ffmpeg` or `brew install ffmpeg`"}
EXTRAS = {"pysteps": "the nowcast baseline; `pip install 'weatherml[nowcast]'`"}
"""Beyond what every command needs: what each is for, and how to come by it."""


def python() -> Iterator[Finding]:
    """The interpreter against the declared range."""
    wanted, version = SpecifierSet(str(metadata.metadata(PACKAGE)["Requires-Python"])), platform.python_version()
    fits = wanted.contains(version, prereleases=True)
    yield ok(f"Python {version}") if fits else problem(f"Python {version}, needs {wanted}", "install a newer one")


def packages() -> Iterator[Finding]:
    """Every required package against its declared range."""
    wanted = [Requirement(each) for each in metadata.requires(PACKAGE) or ()]
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    wrong = [finding for each in needed if (finding := _package(each)) is not None]
    yield from wrong
    if not wrong:
        yield ok(f"{len(needed)} packages, all within their ranges")


def _package(wanted: Requirement) -> Finding | None:
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return problem(f"{wanted.name} is not installed", REINSTALL)
    if wanted.specifier.contains(version, prereleases=True):
        return None
    return problem(f"{wanted.name} {version}, needs {wanted.specifier}", REINSTALL)


def device() -> Iterator[Finding]:
    """What torch was built for, and what it computes on."""
    if torch.cuda.is_available():
        yield ok(f"torch {torch.__version__} on {torch.cuda.get_device_name()}")
    elif torch.version.cuda:
        yield problem(f"torch {torch.__version__} is built for CUDA and sees no GPU", "check the driver: `nvidia-smi`")
    else:
        said = f"torch {torch.__version__} is built for the CPU; {os.cpu_count()} cores"
        yield note(said, "with a GPU, install the build for CUDA: pytorch.org")


def memory() -> Iterator[Finding]:
    """What is free for tensors now."""
    for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        budget = free_memory(torch.device(kind))
        said = f"{readable_size(budget.size)} are {budget.name}"
        yield ok(said) if budget.size >= LEAST_MEMORY else note(said, "take `--low-memory` in `wml plan`")


def room() -> Iterator[Finding]:
    """Free disk where outputs go."""
    for folder in (DATA, RUNS, FORECASTS):
        free = free_bytes(folder)
        said = f"{readable_size(free)} free for {folder}/"
        if free < LEAST_FREE:
            yield problem(said, "make room; `wml clean --dry-run` shows what can go")
        else:
            yield ok(said) if free >= MUCH_FREE else note(said, "`wml clean --dry-run` shows what can go")


def disk() -> Iterator[Finding]:
    """How fast the working directory's disk writes and reads."""
    speeds = dict(zip(("written", "read"), disk_speeds(Path.cwd()), strict=True))
    said = ", ".join(f"{speed:.0f} MB/s {what}" for what, speed in speeds.items())
    yield ok(said) if min(speeds.values()) >= SLOW_MB_S else note(said, "keep datasets on a faster disk")


def disk_speeds(folder: Path, size: int = TRIAL_BYTES) -> tuple[float, float]:
    """MB/s of writing a file durably, and of reading it, past the system's cache where that can be asked for."""
    path, content = folder / f".speed.{os.getpid()}.tmp", os.urandom(1 << 20)
    try:
        with path.open("wb", buffering=0) as file:
            started = time.perf_counter()
            for _ in range(size >> 20):
                file.write(content)
            os.fsync(file.fileno())
            written = time.perf_counter()
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with path.open("rb", buffering=0) as file:
            opened = time.perf_counter()
            while file.read(1 << 20):
                pass
            read = time.perf_counter()
    finally:
        remove(path)
    return size / 1e6 / (written - started), size / 1e6 / (read - opened)


def extras() -> Iterator[Finding]:
    """What some commands take where it is there."""
    found = {name: shutil.which(name) is not None for name in PROGRAMS}
    found |= {name: find_spec(name) is not None for name in EXTRAS}
    for name, there in found.items():
        purpose, _, install = {**PROGRAMS, **EXTRAS}[name].partition("; ")
        yield ok(f"{name} for {purpose}") if there else note(f"no {name}, for {purpose}", install)


CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (python, packages, device, memory, room, disk, extras)


def installation() -> Iterator[Finding]:
    """What all checks of the installation find."""
    for check in CHECKS:
        try:
            for finding in check():
                yield replace(finding, about="installation", check=check.__name__)
        except Exception as error:  # noqa: BLE001 - what is broken may break a check in any way
            yield replace(failure(error), about="installation", check=check.__name__)
