"""`wml doctor` and `wml clean` by the command line: what is printed, and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import refused, wml
from tests.schemas.make import sample
from weatherml.doctor import installation


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset and a run in their places, and a small trial of the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installation, "disk_speeds", lambda folder: (500.0, 900.0))
    shutil.copytree(sample("dataset.zarr"), tmp_path / "data" / "dataset.zarr")
    shutil.copytree(sample("run"), tmp_path / "runs" / "run")
    return tmp_path


def test_without_a_path_the_installation_and_the_newest_outputs_are_checked() -> None:
    code, out, err = wml("doctor")
    assert code == 0, out
    assert "data/dataset.zarr (the newest)" in err
    assert "forecast: none here; make one with `wml rollout`" in err
    assert "ok: installation: 500 MB/s written, 900 MB/s read" in out
    assert "ok: data/dataset.zarr: no gap in time" in out
    assert "ok: runs/run: checkpoints/step-2 is whole" in out
    assert err.splitlines()[-1].startswith("0 problems in ")


def test_a_problem_exits_with_65_and_says_what_to_do() -> None:
    Path("data/dataset.zarr/t2m/c/0/0/0").unlink()
    code, out, _ = wml("doctor", "data/dataset.zarr", "runs")
    assert code == 65
    (line,) = [line for line in out.splitlines() if line.startswith("problem: ")]
    assert line.startswith("problem: data/dataset.zarr: t2m at 2024-06-01T00:00:00Z: ")
    assert line.endswith("; make it again")
    code, out, _ = wml("doctor", "data", "--json")
    assert code == 65
    found = json.loads(out)
    assert {frozenset(each) for each in found} == {frozenset({"level", "what", "todo", "about", "check"})}
    assert [each["check"] for each in found if each["level"] == "problem"] == ["chunks"]


def test_nothing_there_exits_with_66() -> None:
    refused(66, "absent.zarr: nothing of ours there", "doctor", "absent.zarr")
    refused(66, "absent.zarr: nothing there", "clean", "absent.zarr")


def test_clean_says_what_goes_and_how_much() -> None:
    partial = Path("data/.new.zarr.partial")
    partial.mkdir()
    (partial / "zarr.json").write_bytes(bytes(2048))
    code, out, err = wml("clean")
    assert (code, err.splitlines()[-1]) == (0, "freed 0 B")
    assert out.startswith("kept data/.new.zarr.partial (2.0 KiB): written within the last hour; --all takes it too")
    code, out, err = wml("clean", "--dry-run", "--all")
    assert (out, err) == ("would remove data/.new.zarr.partial (2.0 KiB)\n", "would free 2.0 KiB\n")
    assert partial.exists()
    code, out, err = wml("clean", "--all", "data")
    assert (code, out, err) == (0, "removed data/.new.zarr.partial (2.0 KiB)\n", "freed 2.0 KiB\n")
    assert not partial.exists()
    refused(2, "--keep-checkpoints", "clean", "--keep-checkpoints", 0)
