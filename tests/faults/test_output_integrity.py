"""What is flipped, deleted or cut short in finished outputs is found by `wml doctor --deep`, and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import Commands
from tests.faults.mutations import FAULTS, Fault, flip, lose, spoiled
from tests.faults.outputs import COMMANDS, content
from weatherml.data.store import MARKER
from weatherml.doctor.examination import examine
from weatherml.doctor.finding import Finding
from weatherml.errors import BadDataError
from weatherml.run.directory import open_run

OUTPUTS = ("r", "f.zarr", "ev")
UNSEALED = {"log.txt", "environment.json", "metrics.jsonl"}
"""Of a run: what tells how training went, and grows with it; nothing that a forecast depends on."""
LOGS = "tensorboard"
CALIBRATION, STATUS = "calibration.json", "status.json"


@pytest.fixture(scope="module")
def copies(wml: Commands, world: Path) -> Path:
    """A finished run, forecast and scores, to spoil."""
    folder = wml.root / "copies"
    shutil.copytree(world, folder)
    assert wml.run(COMMANDS["evaluate"][0], folder) == 0, wml.printed
    return folder


def sealed_files(output: Path) -> list[Path]:
    """What is vouched for."""
    files = (path for path in output.rglob("*") if path.is_file())
    return sorted(each for each in files if each.name not in UNSEALED and LOGS not in each.parts)


def problems(output: Path) -> list[Finding]:
    return [finding for finding in examine(output, deep=True) if finding.level == "problem"]


@pytest.mark.parametrize("trials", [30, pytest.param(4000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_fault_is_found_and_named(copies: Path, name: str, trials: int) -> None:
    assert problems(copies / name) == []
    files, rng, missed = sealed_files(copies / name), np.random.default_rng(0), []
    for trial in range(trials):
        file, fault = files[rng.integers(len(files))], FAULTS[trial % len(FAULTS)]
        inside = file.relative_to(copies / name)
        with spoiled(file, fault, rng):
            found = problems(copies / name)
        if not any(names(finding, inside) for finding in found):
            missed.append(f"{fault.__name__} {inside}: {found}")
    assert missed == []
    assert problems(copies / name) == []


def names(finding: Finding, file: Path) -> bool:
    """Whether a finding says which file, array or checkpoint is broken."""
    if file == Path(MARKER):
        return True  # it may name another file than it did
    parts = {file.name, file.parent.name, file.as_posix().split("/c/")[0], file.parts[0]} - {""}
    return any(part in f"{finding.what} {finding.about}" for part in parts)


def empty(content: bytes, rng: np.random.Generator) -> bytes:
    """All is lost but the name."""
    return b""


@pytest.mark.parametrize("file", sorted(UNSEALED))
def test_a_forecast_does_not_depend_on_what_is_not_sealed(copies: Path, file: str) -> None:
    with spoiled(copies / "r" / file, empty, np.random.default_rng(0)):
        assert problems(copies / "r") == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", [CALIBRATION, STATUS])
def test_no_forecast_is_made_with_what_is_damaged(copies: Path, file: str, fault: Fault) -> None:
    with spoiled(copies / "r" / file, fault, np.random.default_rng(0)):
        (found,) = {finding.what for finding in problems(copies / "r")}
        with pytest.raises(BadDataError) as error:
            open_run(copies / "r").load_model()
    for words in (found, str(error.value)):
        assert words.startswith(str(copies / "r" / file))
        assert "\n" not in words
    assert open_run(copies / "r").calibration() is not None


@pytest.mark.parametrize(("file", "fault"), [(CALIBRATION, flip), (CALIBRATION, lose), (STATUS, lose)])
def test_training_goes_on_to_mend_it(wml: Commands, copies: Path, file: str, fault: Fault) -> None:
    sound = content(copies / "r")
    with spoiled(copies / "r" / file, fault, np.random.default_rng(0)):
        assert wml.run(COMMANDS["train"][0], copies) == 0, wml.printed
        assert content(copies / "r") == sound
        assert problems(copies / "r") == []
