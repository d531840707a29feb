"""`wml evaluate`: the table with its marks, parts that go on, and every bad input one line and its exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import refused, wml
from tests.verify.conftest import HOUR, START, forecast_dataset, write_truth

INITS = START + np.array([50, 56, 73, 80]) * HOUR


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A truth, an ensemble, a worse forecast, and one from another year."""
    folder = tmp_path_factory.mktemp("files")
    write_truth(folder / "truth.zarr", names=["t2m"])
    for name, options in {"good": {"members": 3}, "bad": {"phase": 0.2}}.items():
        forecast_dataset(INITS, [1, 6], names=["t2m"], **options).to_netcdf(folder / f"{name}.nc")
    later = forecast_dataset(INITS[:1], [1], names=["t2m"])
    later.assign_coords(init_time=later["init_time"] + np.timedelta64(900, "D")).to_netcdf(folder / "later.nc")
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


def test_the_table_marks_what_is_sure() -> None:
    code, stdout, stderr = wml(
        "evaluate", "good.nc", "bad.nc", "--truth", "truth.zarr", "--baseline", "persistence", "--region", "land"
    )
    assert code == 0, stderr
    assert stdout.splitlines() == ["scores: evaluation/good/scores.json", "report: evaluation/good/report.html"]
    rows = [line.split() for line in stderr.splitlines() if line.strip()]
    header, first = (next(row for row in rows if row[0] == word) for word in ("forecast", "good"))
    assert header == ["forecast", "variable", "lead", "rmse", "crps", "persistence", "bad", "good"]
    scores = json.loads(Path("evaluation/good/scores.json").read_text())
    good = scores["forecasts"]["good"]["t2m"]
    rmse, crps = good["rmse"]["value"][0], good["crps"]["value"][0]
    still = scores["forecasts"]["persistence"]["t2m"]["rmse"]["value"][0]
    mark = "%*" if scores["comparisons"]["good"]["persistence"]["t2m"]["rmse"]["significant"][0] else "%"
    gain = f"{100 * (1 - rmse / still):+.0f}"  # in percent of the reference
    assert first[:9] == ["good", "t2m", "1", "h", f"{rmse:.3g}", "K", f"{crps:.3g}", gain, mark]
    assert "*: more than chance; the 95 % interval over blocks of a day (2 of them) leaves out 0" in " ".join(
        stderr.split()
    )
    assert list(scores["conditions"]["region"]) == ["land"]


def test_an_unfinished_evaluation_is_taken_up_again() -> None:
    Path("evaluation/good/.parts.partial").mkdir(parents=True)
    assert wml("evaluate", "good.nc", "--truth", "truth.zarr", "--baseline", "persistence")[0] == 0
    assert not Path("evaluation/good-2").exists()
    assert sorted(path.name for path in Path("evaluation/good").iterdir()) == [
        "report.html",
        "scores.json",
        "scores.nc",
    ]


def test_bad_input_is_one_line() -> None:
    shutil.copy("good.nc", "persistence.nc")
    cases = {
        (65, "no case in common"): ["later.nc"],
        (66, "none.nc: no such file"): ["none.nc"],
        (66, "hrrr.zarr: no such file"): ["good.nc", "--baseline", "hrrr.zarr"],
        (65, "persistence: two forecasts or baselines have this name"): ["persistence.nc", "--baseline", "persistence"],
        (78, "did you mean 'persistence'"): ["good.nc", "--baseline", "persistance"],
        (2, "--region coast: unknown"): ["good.nc", "--region", "coast"],
        (78, "no grid point in"): ["good.nc", "--region", "a=-50,-40,0,10"],
        (65, "needs a dataset of the synthetic world"): ["good.nc", "--baseline", "oracle"],
    }
    for (code, words), arguments in cases.items():
        refused(code, words, "evaluate", *arguments, "--truth", "truth.zarr", "--output", "out")
        assert not Path("out/scores.json").exists()
