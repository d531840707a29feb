"""Parts of an evaluation add up, are kept, and are made anywhere: the scores are the same to the last digit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client, LocalCluster

from tests.faults.mutations import FAULTS, Fault, spoiled
from tests.verify.conftest import HOUR, START, forecast_dataset, write_truth
from weatherml.data.workers import DASHBOARD
from weatherml.errors import DiskError, StoppedError, UnavailableError
from weatherml.metrics.crps import CRPS
from weatherml.metrics.rmse import RMSE
from weatherml.seal import content
from weatherml.signals import stop_request
from weatherml.variables import Variable
from weatherml.verify import evaluate
from weatherml.verify.scores.bootstrap import blocks_of
from weatherml.verify.scores.finish import Tally, finish
from weatherml.verify.scoring import running
from weatherml.verify.scoring.case import Cards
from weatherml.verify.scoring.inputs import Inputs, Request, open_inputs
from weatherml.verify.scoring.parts import Part, liveliness, score_one, score_part
from weatherml.verify.scoring.resume import PartFolder, fingerprint
from weatherml.verify.scoring.running import score_blocks

QUARTER = np.timedelta64(15, "m")
CASES = 1000


def ignore(done: int, total: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise every 15 minutes on 3 x 4 points, and a forecast from each of 1,000 times: 10 full days and a half."""
    folder, generator = tmp_path_factory.mktemp("many"), np.random.default_rng(3)
    times = START.astype("datetime64[ns]") + np.arange(CASES + 2) * QUARTER
    axes = {"latitude": [10.0, 20.0, 30.0], "longitude": [0.0, 10.0, 20.0, 30.0]}
    values = generator.normal(280, 5, (CASES + 2, 3, 4))
    dims = ("latitude", "longitude")
    xr.Dataset({"t2m": (("time", *dims), values, {"units": "K"})}, {"time": times, **axes}).to_netcdf(
        folder / "truth.nc"
    )
    leads = np.array([1, 2]) * QUARTER.astype("timedelta64[ns]")
    guess = np.stack([values[1:-1], values[2:]], axis=1) + generator.normal(0, 1, (CASES, 2, 3, 4))
    coords = {"init_time": times[:CASES], "lead_time": leads, **axes}
    forecast = xr.Dataset({"t2m": (("init_time", "lead_time", *dims), guess, {"units": "K"})}, coords)
    forecast.to_netcdf(folder / "mine.nc")
    return folder


@pytest.fixture(scope="module")
def request_of(world: Path) -> Request:
    box = "south=5,15,-5,35"
    return Request(truth=world / "truth.nc", forecasts=(world / "mine.nc",), baselines=(), regions=(box,))


def few(variables: Sequence[Variable], spacing_km: float | None) -> Cards:
    """Two metrics: what merges them merges all."""
    return {variable.name: {"rmse": RMSE(), "crps": CRPS()} for variable in variables}


@pytest.fixture(scope="module")
def inputs(request_of: Request) -> Inputs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weatherml.verify.scoring.inputs.score_cards", few)
        found = open_inputs(request_of)
    for dataset in (found.truth.dataset, found.forecasts[0].dataset):
        dataset.load()
    return found


@pytest.fixture(scope="module")
def whole(inputs: Inputs) -> Part:
    """All cases in one pass."""
    return score_part(inputs, inputs.cases.init_times, inputs.frames())


def assert_same(merged: Part, whole: Part) -> None:
    for name in ("conditional", "others", "errors", "liveliness"):
        torch.testing.assert_close(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-9, equal_nan=True)
    assert merged.conditional_columns == whole.conditional_columns
    assert merged.other_columns == whole.other_columns


def test_dask_tasks_equal_one_pass(
    inputs: Inputs, request_of: Request, whole: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weatherml.verify.scoring.inputs.score_cards", few)  # the workers open it anew
    blocks, folder = blocks_of(inputs.cases.init_times), PartFolder(tmp_path, fingerprint(request_of, inputs))
    assert len(inputs.cases.init_times) == CASES
    assert len(blocks) == 11
    seen: list[tuple[int, int]] = []
    with (
        LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=DASHBOARD) as cluster,
        stop_request() as stop,
    ):
        address, watch = cluster.scheduler_address, lambda done, total: seen.append((done, total))
        parts = score_blocks(inputs, request_of, blocks, folder, stop=stop, progress=watch, dask=address)
    assert_same(reduce(add, parts), whole)
    assert seen[-1] == (CASES, CASES)
    assert len(seen) == 11
    ours = finish(inputs, parts, resamples=5, seed=0, metadata={}).curves["mine"]["t2m"]
    theirs = finish(inputs, [whole], resamples=5, seed=0, metadata={}).curves["mine"]["t2m"]
    for metric, curve in ours.items():
        np.testing.assert_allclose(curve.value, theirs[metric].value, rtol=1e-12)


def test_sums_are_those_of_plain_numpy(inputs: Inputs, whole: Part, world: Path) -> None:
    truth, mine = xr.load_dataset(world / "truth.nc")["t2m"].values, xr.load_dataset(world / "mine.nc")["t2m"].values
    error = mine - np.stack([truth[1:-1], truth[2:]], axis=1)
    weights = np.cos(np.deg2rad([10.0, 20.0, 30.0]))[:, None]
    expected = np.sqrt((weights * (error**2).mean(0)).sum((-2, -1)) / (4 * weights.sum()))
    metric, sums = inputs.cards["t2m"]["rmse"], Tally([whole]).total(("mine", "t2m", "rmse"))
    np.testing.assert_allclose(metric.value(sums), expected, rtol=1e-6)  # fields are float32


def test_a_part_is_read_as_it_was_written(inputs: Inputs, tmp_path: Path) -> None:
    part = score_one(inputs, inputs.cases.init_times[0], inputs.frames())
    part.save(tmp_path / "part.safetensors")
    found = Part.load(tmp_path / "part.safetensors")
    assert_same(found, part)
    assert torch.equal(found.conditional, part.conditional)


def test_what_is_kept_belongs_to_one_evaluation(inputs: Inputs, request_of: Request, tmp_path: Path) -> None:
    part = score_one(inputs, inputs.cases.init_times[0], inputs.frames())
    folder = PartFolder(tmp_path, "one")
    folder.keep(3, part)
    assert PartFolder(tmp_path, "one").load(3) is not None
    assert folder.load(2) is None
    (folder.path / "part-00004.safetensors").write_bytes(b"broken")
    assert folder.load(4) is None
    assert PartFolder(tmp_path, "another").load(3) is None
    assert fingerprint(request_of, inputs) != fingerprint(request_of, open_inputs(request_of))  # with more metrics


def test_a_full_disk(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, folder = score_one(inputs, inputs.cases.init_times[0], inputs.frames()), PartFolder(tmp_path, "one")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskError, match="No space left on device; make room, and run again to go on"):
        folder.keep(0, part)


def test_no_scheduler(inputs: Inputs, request_of: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, **options: Any) -> Client:
        raise OSError("timed out")

    monkeypatch.setattr("distributed.Client", refuse)
    with stop_request() as stop, pytest.raises(UnavailableError, match="no dask scheduler answers"):
        score_blocks(
            inputs,
            request_of,
            blocks_of(inputs.cases.init_times),
            PartFolder(tmp_path, "x"),
            stop=stop,
            progress=ignore,
            dask="tcp://no:1",
        )


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A truth, and a forecast from two times on each of three days."""
    folder = tmp_path_factory.mktemp("days")
    write_truth(folder / "truth.zarr", names=["t2m"])
    inits = START + np.array([50, 56, 73, 74, 80, 90]) * HOUR
    forecast_dataset(inits, [1, 2], names=["t2m"]).to_netcdf(folder / "mine.nc")
    return folder


def run(days: Path, output: Path, progress: Callable[[int, int], None] = ignore) -> dict[str, Any]:
    options: dict[str, Any] = {"baselines": ["persistence"], "resamples": 10, "progress": progress}
    found = evaluate([days / "mine.nc"], days / "truth.zarr", output=output, **options)
    scores = content(json.loads(found.scores.read_text()))
    scores["metadata"].pop("created")
    return scores


@pytest.fixture(scope="module")
def expected(days: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The scores of an evaluation that nothing disturbed."""
    return run(days, tmp_path_factory.mktemp("whole") / "out")


def die_at(case: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == case:
            raise RuntimeError("killed")

    return progress


def test_a_killed_evaluation_goes_on(
    days: Path, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(days, tmp_path / "out", die_at(5))
    scored: list[int] = []

    def spy(inputs: Inputs, init_times: np.ndarray, *rest: Any, **options: Any) -> Part:
        scored.append(len(init_times))
        return score_part(inputs, init_times, *rest, **options)

    monkeypatch.setattr(running, "score_part", spy)
    seen: list[int] = []
    assert run(days, tmp_path / "out", lambda done, total: seen.append(done)) == expected
    assert scored == [4]  # the first block was kept, the second one had not been finished
    assert seen == [3, 4, 5, 6]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "scores.json", "scores.nc"}


def test_a_damaged_part_is_scored_again(
    days: Path, expected: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(days, tmp_path / "out", die_at(5))
    part = tmp_path / "out" / ".parts.partial" / "part-00000.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"\x01")  # of the last number: the file still reads
    seen: list[int] = []
    assert run(days, tmp_path / "out", lambda done, total: seen.append(done)) == expected
    assert seen == [1, 2, 3, 4, 5, 6]
    assert "part-00000.safetensors: changed or lost since it was written; its cases are scored again" in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_damaged_is_loaded(inputs: Inputs, tmp_path: Path, fault: Fault) -> None:
    part = score_one(inputs, inputs.cases.init_times[0], inputs.frames())
    folder, rng = PartFolder(tmp_path, "one"), np.random.default_rng(0)
    for block in (0, 1):
        folder.keep(block, part)
    with spoiled(folder.path / "part-00000.safetensors", fault, rng):
        again = PartFolder(tmp_path, "one")
        assert (again.load(0), again.load(2)) == (None, None)
        assert again.load(1) is not None
    assert PartFolder(tmp_path, "one").load(0) is not None
    with spoiled(folder.path / "scored.json", fault, rng):
        again = PartFolder(tmp_path, "one")
        assert (again.load(0), again.load(1)) == (None, None)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_after_the_case(
    number: int, code: int, days: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    def progress(done: int, total: int) -> None:
        if done == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(StoppedError, match=r"out: stopped after 3 of 6 cases, kept; run the same command") as stopped:
        run(days, tmp_path / "out", progress)
    assert stopped.value.exit_code == code
    assert not (tmp_path / "out" / "scores.json").exists()
    if code == 143:
        seen: list[int] = []
        assert run(days, tmp_path / "out", lambda done, total: seen.append(done)) == expected
        assert seen == [4, 5, 6]


def test_other_forecasts_begin_anew(days: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.nc").write_bytes((days / "mine.nc").read_bytes())
    (tmp_path / "truth.zarr").symlink_to(days / "truth.zarr")
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path, tmp_path / "out", die_at(5))
    os.utime(tmp_path / "mine.nc", (0, 0))
    seen: list[int] = []
    run(tmp_path, tmp_path / "out", lambda done, total: seen.append(done))
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_case_that_is_hardly_seen_is_not_the_liveliest() -> None:
    field = np.array([[[0.0, 2.0]]])  # variance 1
    assert liveliness(field, 1) == 1
    assert liveliness(field, 4) == 0.25
    assert liveliness(np.where(field > 0, np.nan, field), 1) == 0
    assert liveliness(field[:0], 4) == 0
