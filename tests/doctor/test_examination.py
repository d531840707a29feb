"""Whatever is broken in an output is a finding that says what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from weatherml.data.store import MARKER, write_marker
from weatherml.doctor.examination import CHECKS, examine
from weatherml.doctor.finding import Finding
from weatherml.errors import MissingInputError
from weatherml.files import output_lock
from weatherml.run.directory import open_run
from weatherml.verify.scores.output import write_scores

DATA, RUN, FORECAST = Path("data/dataset.zarr"), Path("runs/run"), Path("forecasts/forecast.zarr")
STEP = RUN / "checkpoints" / "step-2"


def problems(path: Path, *, deep: bool = False) -> list[Finding]:
    return [finding for finding in examine(path, deep=deep) if finding.level == "problem"]


def notes(path: Path, *, deep: bool = False) -> list[str]:
    return [finding.what for finding in examine(path, deep=deep) if finding.level == "note"]


def flip(path: Path) -> None:
    spoiled = bytearray(path.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    path.write_bytes(bytes(spoiled))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def state(name: str, **changes: object) -> None:
    open_run(RUN).set_status(state=name, **changes)


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_sound_has_no_problem(world: Path, deep: bool) -> None:
    found = [finding for folder in ("data", "runs", "forecasts") for finding in examine(Path(folder), deep=deep)]
    assert {finding.level for finding in found} <= {"ok", "note"}
    ran = {finding.check for finding in found}
    for kind in ("dataset", "sequences", "run", "forecast"):
        silent = {"notes", "declared"}  # nothing to say here
        assert {check.__name__ for check in CHECKS[kind]} - silent <= ran
    assert all(Path(finding.about).exists() for finding in found)


FAULTS: dict[str, tuple[Callable[[], object], Path, str, str]] = {
    "marker": ((DATA / MARKER).unlink, DATA, "dataset", "not a finished dataset"),
    "metadata": (lambda: edit(DATA / "quality.json", missing=["x"]), DATA, "dataset", "quality.json: changed or lost"),
    "lost": ((DATA / "t2m/c/1/0/0").unlink, DATA, "chunks", "t2m at 2024-06-02T00:00:00Z: "),
    "empty": (lambda: (DATA / "refc/c/0/0/0").write_bytes(b""), DATA, "chunks", "refc at 2024-06-01T00:00:00Z: "),
    "lead": ((FORECAST / "t2m/c/1/0/0/0").unlink, FORECAST, "chunks", "t2m at 2024-06-02T05:00:00Z + 1 h: "),
    "newer": (lambda: edit(RUN / "data.json", schema=99), RUN, "run", "newer weatherml (schema 99, this"),
    "settings": (lambda: edit(RUN / "data.json", step_seconds=1), RUN, "run", "data.json: changed since"),
    "failed": (lambda: state("failed", error="NaN"), RUN, "state", "failed at step 2: NaN"),
    "status": (lambda: edit(RUN / "status.json", step=3), RUN, "state", "status.json: changed since it was written"),
    "no status": ((RUN / "status.json").unlink, RUN, "run", "status.json: lost, or training was killed as it began"),
    "fit": (lambda: flip(RUN / "calibration.json"), RUN, "state", "calibration.json: changed or lost"),
    "no fit": ((RUN / "calibration.json").unlink, RUN, "state", "calibration.json: changed or lost"),
    "weights": (lambda: flip(STEP / "average.safetensors"), RUN, "checkpoints", "average.safetensors: changed or lost"),
    "unmarked": ((STEP / MARKER).unlink, RUN, "checkpoints", "step-2/complete.json: cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_with_what_to_do(world: Path, fault: str) -> None:
    spoil, path, check, words = FAULTS[fault]
    spoil()
    found = problems(path)[0]
    assert (found.check, found.about) == (check, str(path))
    assert words in found.what
    assert found.todo


def test_a_flipped_bit_is_found_by_reading_everything(world: Path) -> None:
    flip(DATA / "t2m/c/0/0/0")
    flip(FORECAST / "refc/c/0/0/0/0")
    assert problems(DATA) == []
    (found,) = problems(DATA, deep=True)
    assert found.what.startswith("t2m at 2024-06-01T")
    chunks, values = problems(FORECAST, deep=True)
    for each in (chunks, values):
        assert each.what.startswith("refc at 2024-06-02T01:00:00Z + ")


def rewrite(path: Path, change: Callable[[zarr.Group], object]) -> None:
    """Change a forecast as a writer would have."""
    change(zarr.open_group(str(path), mode="a", use_consolidated=False))
    metadata = json.loads((path / "zarr.json").read_text())
    metadata.pop("consolidated_metadata", None)
    (path / "zarr.json").write_text(json.dumps(metadata))
    zarr.consolidate_metadata(str(path))
    write_marker(path, "forecast")


@pytest.mark.filterwarnings("ignore:Consolidated metadata", "ignore:Object at")
def test_holes_and_missing_values_of_a_forecast_are_found(world: Path) -> None:
    def spoil(group: zarr.Group) -> None:
        group["t2m"][1, 2] = -32768
        group["refc"][1, 2, 0, 0] = -32768
        group["lead_time"][...] = [3600, 7200, 14400]

    rewrite(FORECAST, spoil)
    found = {(finding.check, finding.what) for finding in problems(FORECAST)}
    assert found == {
        ("leads", "lead_time: out of step after entry 2 of 3"),
        ("values", "t2m: 1 fields of 2 are empty, most at 2024-06-02T05:00:00Z + 4 h"),
    }
    refc = "refc: 1.04% of the values of 6 fields are missing, most at 2024-06-02T05:00:00Z + 4 h"  # 1 / 16 / 6
    assert refc in notes(FORECAST, deep=True)
    rewrite(FORECAST, lambda group: group.attrs.update({"stopped": {"2024-06-02T05:00:00Z": 2}}))
    assert [finding.check for finding in problems(FORECAST)] == ["leads"]  # for it says so itself
    assert "stopped: {'2024-06-02T05:00:00Z': 2}" in notes(FORECAST)


def test_a_netcdf_forecast_is_looked_at_too(world: Path) -> None:
    hours = np.array([1, 2, 3], "timedelta64[h]").astype("timedelta64[ns]")
    init = np.array(["2024-06-01T00:00"], "datetime64[ns]")
    fields = np.zeros((1, 3, 2, 2), np.float32)
    fields[0, 2] = np.nan
    arrays = {"t2m": (("init_time", "lead_time", "y", "x"), fields)}
    xr.Dataset(arrays, {"init_time": init, "lead_time": hours}).to_netcdf("forecasts/f.nc", engine="netcdf4")
    (found,) = problems(Path("forecasts/f.nc"))
    assert found.what == "t2m: 1 fields of 1 are empty, most at 2024-06-01T00:00:00Z + 3 h"
    assert "every value reads" in " ".join(each.what for each in examine(Path("forecasts/f.nc"), deep=True))
    assert "keeps no checksum of all its bytes: another program wrote it, or its last line is lost" in notes(
        Path("forecasts/f.nc"), deep=True
    )


def test_gaps_and_quarantine_are_told(world: Path) -> None:
    report = json.loads((DATA / "quality.json").read_text())
    report["quarantined"] = {"2024-06-01T05:00:00Z": "t2m: 0 K"}
    (DATA / "quality.json").write_text(json.dumps(report))
    group = zarr.open_group(str(DATA), mode="a", use_consolidated=False)
    times = group["time"][...]
    group["time"][...] = np.where(np.arange(30) > 9, times + 7200, times)
    write_marker(DATA, "dataset")
    said = notes(DATA)
    assert "2 times missing, the first 2024-06-01T10:00:00Z" in said
    assert "1 quarantined, the first ('2024-06-01T05:00:00Z', 't2m: 0 K')" in said


def test_a_killed_run_is_told_from_one_at_work(world: Path) -> None:
    state("running")
    assert "running at step 2" in notes(RUN)
    with output_lock(RUN):
        said, fit = [finding for finding in examine(RUN) if finding.check == "state"]
    assert (said.level, said.what) == ("ok", f"running at step 2; process {os.getpid()} is at it")
    assert (fit.level, fit.what) == ("ok", "its calibration reads")


def test_scores_vouch_for_what_lies_beside_them(world: Path) -> None:
    path = Path("evaluation/a")
    path.mkdir(parents=True)
    (path / "report.html").write_text("good")
    write_scores(path, {"forecasts": {"f": {}}}, beside=["report.html"])
    assert [(found.level, found.what) for found in examine(path)] == [("ok", "scores of f")]
    (path / "report.html").write_text("best")
    (found,) = problems(path)
    assert found.what == "evaluation/a/report.html: changed or lost since it was written"
    (path / "scores.json").unlink()
    (found,) = problems(path)
    assert found.what.startswith("evaluation/a/scores.json: cannot be read")


def test_the_first_scores_kept_no_hashes(world: Path) -> None:
    path = Path("evaluation/a")
    path.mkdir(parents=True)
    (path / "scores.json").write_text('{"forecasts": {"f": {}}}')
    assert problems(path) == []
    assert notes(path) == ["made by a version that kept no hashes of its files"]


def test_leftovers_are_told_with_what_to_do(world: Path) -> None:
    Path("data/.new.zarr.partial").mkdir()
    Path("data/.new.zarr.partial/progress.json").touch()
    DATA.rename("data/.dataset.zarr.old")
    said = {finding.about: finding for finding in examine(Path("data")) if finding.check == "leftovers"}
    assert said["data/new.zarr"].level == "note"
    assert "run its command again" in said["data/new.zarr"].todo
    assert said["data/dataset.zarr"].level == "problem"
    assert said["data/dataset.zarr"].todo == "`mv data/.dataset.zarr.old data/dataset.zarr`"
    assert [finding.level for finding in examine(DATA)] == ["problem"]  # by its name too


def test_nothing_of_ours_is_missing_input(world: Path) -> None:
    Path("notes.txt").touch()
    Path("empty").mkdir()
    for path in ("absent", "notes.txt", "empty"):
        with pytest.raises(MissingInputError, match="nothing of ours there"):
            list(examine(Path(path)))
