"""Inputs made to do harm: nothing runs, nothing is written outside, nothing swells; one line says what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.batches import Case, Outcome, ends
from tests.faults.commands import Commands
from tests.faults.hostile import CANARY, OUTSIDE
from tests.faults.hostile import PAYLOADS as PLAIN
from tests.faults.resealed import RESEALED

PAYLOADS = PLAIN | RESEALED
INPUTS = ("d.zarr", "r", "f.zarr", "a.nc", "a.grib2", "b.safetensors")
OUTPUTS = ("o.zarr", "ev", "o.safetensors", "x", ".o.zarr", ".ev", ".o.safetensors", ".x")
"""What a command may write, and what its name begins with while it is unfinished."""


def laid_out(name: str, sound: Path, root: Path) -> Case:
    """A folder with links to the sound files that the command names, of which the payload replaces some."""
    folder = root / "inside"
    folder.mkdir(parents=True)
    for each in set(INPUTS) & set(PAYLOADS[name].command.split()):
        if (sound / each).is_dir():
            copy = shutil.copy2 if each in PAYLOADS[name].writes else os.link
            shutil.copytree(sound / each, folder / each, copy_function=copy)
        else:
            shutil.copyfile(sound / each, folder / each)
    PAYLOADS[name].make(folder)
    return Case(name=name, folder=str(folder), arguments=PAYLOADS[name].command.split())


def tree(root: Path) -> set[str]:
    """What lies below a folder, by its path and when it was written; links are not followed."""
    return {
        f"{Path(top, name).relative_to(root)} {Path(top, name).lstat().st_mtime_ns}"
        for top, _, names in os.walk(root)
        for name in names
    }


@pytest.fixture(scope="module")
def ended(wml: Commands, sound: Path) -> Iterator[dict[str, tuple[Outcome, set[str]]]]:
    """How each payload ended, and what it changed."""
    root = wml.root / "hostile"
    cases = {name: laid_out(name, sound, root / str(number)) for number, name in enumerate(PAYLOADS)}
    before = {name: tree(Path(case.folder).parent) for name, case in cases.items()}
    found = zip(cases, ends(wml, list(cases.values())), strict=True)
    yield {name: (outcome, tree(Path(cases[name].folder).parent) - before[name]) for name, outcome in found}
    shutil.rmtree(root)


def test_there_are_enough() -> None:
    assert len(PAYLOADS) >= 50


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_harm(name: str, ended: dict[str, tuple[Outcome, set[str]]]) -> None:
    outcome, changed = ended[name]
    parts = {each.split("/")[1] for each in changed if each.startswith("inside/")}
    assert outcome.fault == ""
    assert outcome.code != 0 or PAYLOADS[name].harmless
    assert not any(CANARY in each for each in changed)
    assert all(each.startswith("inside/") for each in changed)
    assert all(any(part.startswith(output) for output in (*OUTPUTS, *PAYLOADS[name].writes)) for part in parts)
    assert not OUTSIDE.exists()
