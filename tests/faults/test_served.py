"""Whatever a server answers, its hours are read rightly, left out with a reason, or the command ends in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.batches import Case, Outcome, ends
from tests.faults.commands import Commands
from tests.faults.mutations import MUTATIONS
from tests.faults.served import ANSWERS, ENTRY, KEYS

OBJECTS = {"index": ".idx", "fields": ""}
CODES = {0, 65, 66, 75}


def read(outcome: Outcome) -> dict[str, str]:
    """The digest of each hour that was read."""
    return dict(line.split() for line in outcome.printed.splitlines() if line.startswith("2024"))


def require_right(outcome: Outcome, right: dict[str, str]) -> None:
    """An hour is read as it stands in the archive, or said to be left out, or nothing is read and one line says why."""
    assert outcome.fault == ""
    assert outcome.code in CODES, outcome.printed
    assert read(outcome).items() <= right.items()
    assert outcome.code or read(outcome) == right or outcome.printed.count("left out: ") > 0


@pytest.fixture(scope="module")
def right(wml: Commands, sound: Path) -> dict[str, str]:
    (outcome,) = ends(wml, [Case(name="sound", folder=str(sound), arguments=["archive"], entry=ENTRY)])
    assert len(read(outcome)) == len(KEYS), outcome.printed
    return read(outcome)


@pytest.fixture(scope="module")
def ended(wml: Commands, sound: Path) -> dict[tuple[str, str], Outcome]:
    """How each answer to a request for an object ends."""
    names = [(name, which) for which in OBJECTS for name in ANSWERS]
    cases = [
        Case(name=f"{which}: {name}", folder=str(sound), arguments=["archive", name, OBJECTS[which]], entry=ENTRY)
        for name, which in names
    ]
    return dict(zip(names, ends(wml, cases), strict=True))


@pytest.mark.parametrize("which", OBJECTS)
@pytest.mark.parametrize("name", ANSWERS)
def test_answers(ended: dict[tuple[str, str], Outcome], right: dict[str, str], name: str, which: str) -> None:
    require_right(ended[name, which], right)


@pytest.fixture
def mutated(sound: Path, trials: int) -> Iterator[list[Case]]:
    """Archives with one index mutated."""
    folders = [sound / f"index-{seed}" for seed in range(trials)]
    for seed, folder in enumerate(folders):
        rng = np.random.default_rng(seed)
        shutil.copytree(sound / "archive", folder)
        index = folder / f"{KEYS[rng.integers(len(KEYS))]}.idx"
        index.write_bytes(MUTATIONS[rng.integers(len(MUTATIONS))](index.read_bytes(), rng))
    yield [Case(name=each.name, folder=str(sound), arguments=[each.name], entry=ENTRY) for each in folders]
    for folder in folders:
        shutil.rmtree(folder)


@pytest.mark.parametrize("trials", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_mutated_index_gives_no_other_data(wml: Commands, right: dict[str, str], mutated: list[Case]) -> None:
    for outcome in ends(wml, mutated):
        require_right(outcome, right)
