"""What is removed was needed by nobody: finished outputs stay to the byte, interrupted ones come to the same end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.preparing import Killed, killing, run, tree
from tests.schemas.make import EXPERIMENT
from weatherml.config import parse
from weatherml.data.integrity import verify
from weatherml.doctor.cleaning import Removal, clean, surplus
from weatherml.doctor.examination import examine
from weatherml.doctor.leftovers import leftovers
from weatherml.errors import MissingInputError
from weatherml.files import output_lock, remove
from weatherml.forecast.rollout import rollout
from weatherml.run import checkpoint
from weatherml.run.directory import open_run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train

PLACES = [Path("data"), Path("runs"), Path("forecasts"), Path("evaluation")]
FINISHED = [Path("data/dataset.zarr"), Path("data/sequences.zarr"), Path("runs/run"), Path("forecasts/forecast.zarr")]


def folder_with(path: str, *names: str) -> None:
    for name in names:
        (Path(path) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(path) / name).write_text("x")


def file(path: str, text: str = "x") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


LITTER: dict[str, Callable[[], object]] = {
    "data/.begun.zarr.partial": lambda: folder_with("data/.begun.zarr.partial", "zarr.0f.partial"),
    "data/.new.zarr.partial": lambda: folder_with("data/.new.zarr.partial", "progress.json", "t2m/c/0/0/0"),
    "data/.dataset.zarr.partial": lambda: folder_with("data/.dataset.zarr.partial", "zarr.json", "complete.json"),
    "data/.dataset.zarr.old": lambda: folder_with("data/.dataset.zarr.old", "complete.json", "zarr.json"),
    "data/.dataset.zarr.lock": lambda: file("data/.dataset.zarr.lock", ""),
    "data/.dataset.zarr.holder": lambda: file("data/.dataset.zarr.holder", "process 1"),
    "runs/run/.status.json.tmp": lambda: file("runs/run/.status.json.tmp"),
    "runs/run/.status.json.77.tmp": lambda: file("runs/run/.status.json.77.tmp"),
    "runs/run/checkpoints/.step-9.partial": lambda: folder_with(
        "runs/run/checkpoints/.step-9.partial", "average.safetensors"
    ),
    "runs/run/checkpoints/.step-2.old": lambda: folder_with("runs/run/checkpoints/.step-2.old", "complete.json"),
    "forecasts/.f.nc.partial": lambda: folder_with("forecasts/.f.nc.partial", "progress.json", "store/zarr.json"),
    "forecasts/.f.nc.tmp": lambda: file("forecasts/.f.nc.tmp"),
    "evaluation/a/.parts.partial": lambda: folder_with("evaluation/a/.parts.partial", "scored.json"),
    "evaluation/a/.scores.partial": lambda: folder_with("evaluation/a/.scores.partial", "report.html"),
}
FOREIGN = {
    "data/.theirs.partial": lambda: folder_with("data/.theirs.partial", "movie.mkv"),
    "data/.vimrc.old": lambda: file("data/.vimrc.old"),
    "data/.page.swp.tmp": lambda: file("data/.page.swp.tmp"),
    "data/.package.lock": lambda: file("data/.package.lock", "{}"),
    "data/notes.partial": lambda: file("data/notes.partial"),
    "data/.git/.index.tmp": lambda: file("data/.git/.index.tmp"),
    "data/dataset.zarr/.x.json.tmp": lambda: file("data/dataset.zarr/.x.json.tmp"),
}


def cleaned(**options: Any) -> list[Removal]:
    places = [path for path in PLACES if path.is_dir()]
    return list(clean(places, **{"recent": True, **options}))


def removed(found: list[Removal]) -> set[str]:
    return {str(each.path) for each in found if not each.kept}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(litter=st.sets(st.sampled_from(sorted(LITTER))), foreign=st.sets(st.sampled_from(sorted(FOREIGN))))
def test_litter_goes_and_all_else_stays_to_the_byte(world: Path, litter: set[str], foreign: set[str]) -> None:
    for name in foreign:
        FOREIGN[name]()
    before = tree(world)
    for name in litter:
        LITTER[name]()
    dry = cleaned(dry_run=True)
    assert all(Path(name).exists() for name in litter)
    found = cleaned()
    assert removed(dry) == removed(found) == litter
    assert tree(world) == before
    assert cleaned() == []
    for name in foreign:
        remove(Path(name))


def test_what_is_finished_is_sound_after_cleaning(world: Path) -> None:
    for leave in LITTER.values():
        leave()
    cleaned(keep_checkpoints=1)
    for path in FINISHED:
        found = list(examine(path, deep=True))
        assert all(finding.level != "problem" and finding.check != "leftovers" for finding in found)


def test_the_only_copy_of_an_output_stays(world: Path) -> None:
    Path("data/dataset.zarr").rename("data/.dataset.zarr.old")
    Path("forecasts/.forecast.zarr.partial").mkdir()
    Path("forecasts/forecast.zarr").rename("forecasts/.forecast.zarr.partial/store")
    found = {str(each.path): each.kept for each in cleaned()}
    assert found == {
        "data/.dataset.zarr.old": "its replacement never came; `mv data/.dataset.zarr.old data/dataset.zarr`",
        "forecasts/.forecast.zarr.partial": (
            "it is whole; `mv forecasts/.forecast.zarr.partial/store forecasts/forecast.zarr`"
        ),
    }


def test_what_is_new_or_being_written_stays(world: Path) -> None:
    for name in ("data/.new.zarr.partial", "runs/run/checkpoints/.step-9.partial", "evaluation/a/.parts.partial"):
        LITTER[name]()
    assert all("within the last hour" in each.kept for each in cleaned(recent=False))
    for path in [Path("data/.new.zarr.partial"), *Path("data/.new.zarr.partial").rglob("*")]:
        os.utime(path, (time.time() - 4000,) * 2)
    assert removed(cleaned(recent=False)) == {"data/.new.zarr.partial"}
    with output_lock(Path("runs/run")), output_lock(Path("evaluation/a/scores")):
        found = cleaned()
        assert removed(found) == set()
        assert {f"process {os.getpid()} is writing {guard}" for guard in ("runs/run", "evaluation/a/scores")} <= {
            each.kept for each in found
        }


def test_links_are_not_followed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / ".x.zarr.partial").mkdir()
    (outside / "kept").write_text("x")
    Path("data/link").symlink_to(outside)
    Path("data/.y.zarr.partial").symlink_to(outside)
    LITTER["data/.new.zarr.partial"]()
    Path("data/.new.zarr.partial/away").symlink_to(outside)
    assert removed(cleaned()) == {"data/.new.zarr.partial"}
    assert (outside / "kept").exists()
    assert (outside / ".x.zarr.partial").exists()


def test_checkpoints_beyond_the_newest_go_and_the_best_stays(world: Path) -> None:
    folder = Path("runs/run/checkpoints")
    saved = checkpoint.load(folder / "step-2")
    checkpoint.save(folder, saved, name="best")
    for step in (4, 6, 8):
        checkpoint.save(folder, checkpoint.Checkpoint(**vars(saved) | {"step": step}), name=f"step-{step}")
    (folder / "step-8" / "average.safetensors").write_bytes(b"")  # no reason to lose a sound one
    assert surplus(folder, 2) == [folder / "step-2"]
    found = cleaned(keep_checkpoints=1)
    assert removed(found) == {str(folder / f"step-{step}") for step in (2, 4)}
    assert sorted(path.name for path in folder.iterdir()) == ["best", "step-6", "step-8"]
    assert checkpoint.load(folder / "step-6").step == 6
    assert cleaned(keep_checkpoints=1) == []


def test_one_output_by_its_name(world: Path) -> None:
    for name in ("data/.new.zarr.partial", "data/.dataset.zarr.old"):
        LITTER[name]()
    assert removed(list(clean([Path("data/dataset.zarr")], recent=True))) == {"data/.dataset.zarr.old"}
    assert removed(list(clean([Path("data/new.zarr")], recent=True))) == {"data/.new.zarr.partial"}
    with pytest.raises(MissingInputError, match="nothing there"):
        list(clean([Path("data/new.zarr")]))


def test_a_killed_prepare_comes_to_the_same_end_after_cleaning(
    tmp_path: Path, write_netcdf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write_netcdf(tmp_path / "a.nc", hours=26, shape=(4, 5)), tmp_path / "out" / "a.zarr"
    with monkeypatch.context() as patch:
        replacements = killing(patch, 1_000_000)
        expected = tree(run(source, tmp_path / "whole.zarr", variables={"t2m": {}}).path)
    for at in (len(replacements) // 2, len(replacements) - 1):
        remove(output)
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            killing(patch, at)
            run(source, output, variables={"t2m": {}})
        assert list(leftovers(output.parent))
        kept = [each for each in clean([output.parent], recent=True) if each.kept]
        assert [each.path.name for each in kept] == [".a.zarr.partial"] * (at == len(replacements) - 1)  # it is whole
        assert tree(run(source, output, variables={"t2m": {}}).path) == expected
        assert [each.name for each in output.parent.iterdir()] == [output.name]
        verify(output)


@pytest.mark.parametrize("at", [2, 14])
def test_a_killed_run_and_rollout_go_on_after_cleaning(world: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    settings = EXPERIMENT | {"train": EXPERIMENT["train"] | {"steps": 4, "checkpoint_minutes": 1e-9}}
    experiment, data = parse(Experiment, settings), Path("data/dataset.zarr")
    whole = train(experiment, data, Path("runs/whole"), device="cpu").load_model()
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        killing(patch, at)
        train(experiment, data, Path("runs/killed"), device="cpu")
    cleaned()
    again = train(experiment, data, Path("runs/killed"), device="cpu").load_model()
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in whole.state_dict().items())
    assert open_run(Path("runs/killed")).status()["state"] == "finished"

    forecast = {"init": ["last"], "steps": 2, "device": "cpu"}
    expected = tree(rollout(Path("runs/killed"), data, output=Path("forecasts/a.zarr"), **forecast).path)
    remove(Path("forecasts/a.zarr"))
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        killing(patch, at)
        rollout(Path("runs/killed"), data, output=Path("forecasts/a.zarr"), **forecast)
    cleaned()
    if not Path("forecasts/a.zarr").exists():
        rollout(Path("runs/killed"), data, output=Path("forecasts/a.zarr"), **forecast)
    assert tree(Path("forecasts/a.zarr")) == expected
