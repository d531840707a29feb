"""What every command refuses before any work: one line, and the documented exit code."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.commands import refused, wml
from tests.faults.outputs import litter
from tests.faults.writers import WRITERS, make_inputs, register_toy, words
from weatherml.files import output_lock
from weatherml.sources import SOURCES

LOCKED = {"evaluate": "scores", "scored predictions": "scores"}
"""Of folders that stay: what is locked within."""
UNWRITABLE = ("file", "/proc/self")
"""Below a file, and a folder in which not even root may write."""
BRIEF, LONGER = ("rollout", "blend", "predictions", "blended predictions"), ("train", "ensemble", "emulator")
SMALL = ("rate", "evaluate", "blended predictions", "scored predictions")
"""What writes so little that it does not ask for room."""
MOST_S = 2.0


@pytest.fixture(scope="module")
def inputs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the inputs of all commands."""
    return make_inputs(world, tmp_path_factory.mktemp("inputs"))


@pytest.fixture(autouse=True)
def _elsewhere(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for each test, with links to the inputs."""
    for each in inputs.iterdir():
        (tmp_path / each.name).symlink_to(each)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SOURCES, "_members", dict(SOURCES._members))
    register_toy()


@pytest.mark.parametrize("name", WRITERS)
def test_a_second_writer_is_told_who_the_first_is(name: str) -> None:
    with output_lock(Path("out", WRITERS[name][1], LOCKED.get(name, ""))):
        refused(73, f"process {os.getpid()} is writing it", *words(name, "out"))


@pytest.mark.parametrize("where", UNWRITABLE)
@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_known_before_work(name: str, where: str) -> None:
    Path("file").touch()
    began = time.process_time()
    refused(73, "choose another output", *words(name, where))
    assert time.process_time() - began < MOST_S
    assert litter(Path.cwd()) == set()


@pytest.mark.parametrize("name", ["rate", *BRIEF, *LONGER])
def test_cuda_where_there_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(69, "cuda: torch sees no GPU", *words(name, "out"), "--device", "cuda")
    assert not Path("out", WRITERS[name][1]).exists()


@pytest.mark.parametrize("name", [*BRIEF, *(pytest.param(name, marks=pytest.mark.slow) for name in LONGER)])
def test_auto_warns_once_and_goes_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, stderr = wml(*words(name, "out"), "--device", "auto")
    assert code == 0, stderr
    assert stderr.count("no GPU: computing on") == 1


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in SMALL])
def test_a_disk_too_small_is_known_before_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**8))
    refused(74, "256 B free; make room", *words(name, "out"))
