"""The command line: every stage by hand, every bad input one line and its exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.cli.commands import refused, wml

FILES = "hrrr_smrf_rme/hrrr.20180722"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hrrr_files(shared_data: Path) -> list[Path]:
    return sorted((shared_data / FILES).glob("*.grib2"))


def write_netcdf(path: Path, **attributes: str) -> None:
    times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(30) * np.timedelta64(1, "h")
    values = np.random.default_rng(0).normal(size=(30, 6, 5))
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, attrs=attributes)
    xr.Dataset({"wave": array}).to_netcdf(path)


def test_the_stages_one_after_another_with_no_options(tmp_path: Path) -> None:
    """Each takes the newest output of the one before, and says which."""
    write_netcdf(tmp_path / "waves.nc", units="m")
    code, out, err = wml("prepare", "netcdf", "--input", tmp_path / "waves.nc")
    assert (code, out.strip()) == (0, "dataset: data/dataset.zarr"), err
    code, out, err = wml("train", "--model", "simple-cnn", "--steps", 3, "--set", "model.base_features=8")
    assert code == 0, err
    assert "data: data/dataset.zarr (the newest)" in err
    code, out, err = wml("rollout", "--steps", 2)
    assert code == 0, err
    code, out, err = wml("evaluate")
    assert code == 0, err
    report = Path(out.splitlines()[-1].removeprefix("report: "))
    assert report.name == "report.html"
    scores = json.loads((report.parent / "scores.json").read_text())
    (name,) = (name for name in scores["forecasts"] if name.startswith("simple-cnn"))
    rmse = scores["forecasts"][name]["wave"]["rmse"]
    assert rmse["lead_hours"] == [1.0, 2.0]
    assert all(value > 0 for value in rmse["value"])
    for path in (Path("data/dataset.zarr"), *Path("runs").iterdir(), *Path("forecasts").glob("*.zarr")):
        code, out, err = wml("inspect", path, "--json")
        assert code == 0, err
        assert json.loads(out)["is"] in ("dataset", "run", "forecast")


def empty(folder: Path, _: list[Path]) -> None:
    (folder / "readme.txt").write_text("no GRIB here")


def truncated(folder: Path, files: list[Path]) -> None:
    (folder / files[0].name).write_bytes(files[0].read_bytes()[:20_000])


def duplicated(folder: Path, files: list[Path]) -> None:
    for name in ("a.grib2", "b.grib2"):
        shutil.copy(files[0], folder / name)


def two_grids(folder: Path, files: list[Path]) -> None:
    shutil.copy(files[0], folder / "a.grib2")
    shutil.copy(files[0].parents[2] / "hrrr_reformatters" / "dpt2m.grib2", folder / "b.grib2")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (empty, 66, "GRIB"),
        (truncated, 65, "fetch the file again"),
        (duplicated, 65, "a.grib2"),
        (two_grids, 65, "1059 x 1799"),
    ],
)
def test_bad_grib_folders(
    tmp_path: Path, hrrr_files: list[Path], make: Callable[[Path, list[Path]], None], code: int, words: str
) -> None:
    folder = tmp_path / "grib"
    folder.mkdir()
    make(folder, hrrr_files)
    refused(code, words, "prepare", "hrrr", "--input", folder, "--output", tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()


def test_a_netcdf_without_units(tmp_path: Path) -> None:
    write_netcdf(tmp_path / "waves.nc")
    refused(65, "wave", "prepare", "netcdf", "--input", tmp_path / "waves.nc")


def test_outputs_that_exist_are_not_touched(tmp_path: Path, small_dataset: Path) -> None:
    write_netcdf(tmp_path / "waves.nc", units="m")
    shutil.copytree(small_dataset, tmp_path / "d.zarr")
    refused(
        73, "d.zarr: exists", "prepare", "netcdf", "--input", tmp_path / "waves.nc", "--output", tmp_path / "d.zarr"
    )
    assert (tmp_path / "d.zarr" / "complete.json").read_bytes() == (small_dataset / "complete.json").read_bytes()


def test_a_flipped_bit_is_found_by_inspecting_deeply(tmp_path: Path, small_dataset: Path) -> None:
    assert wml("inspect", small_dataset, "--deep")[0] == 0
    shutil.copytree(small_dataset, tmp_path / "d.zarr")
    shard = tmp_path / "d.zarr" / "v10" / "c" / "1" / "0" / "0"  # the second day
    content = bytearray(shard.read_bytes())
    content[0] ^= 1  # its first hour
    shard.write_bytes(content)
    assert wml("inspect", "d.zarr")[0] == 0
    refused(65, "v10 at 2024-06-02T00:00:00Z", "inspect", "d.zarr", "--deep")


def test_a_dataset_of_another_run(tmp_path: Path, small_dataset: Path) -> None:
    write_netcdf(tmp_path / "waves.nc", units="m")
    assert wml("prepare", "netcdf", "--input", tmp_path / "waves.nc", "--output", "waves.zarr")[0] == 0
    assert wml("train", "--model", "persistence", "--data", small_dataset, "--run", "run")[0] == 0
    refused(65, "has no variable", "rollout", "--run", "run", "--data", "waves.zarr")
    refused(65, "has no variable", "train", "--model", "persistence", "--data", "waves.zarr", "--run", "run")


def test_options_and_keys_that_do_not_exist(small_dataset: Path) -> None:
    refused(2, "--stepz", "train", "--stepz", 3)
    refused(2, "give one of them", "train", "--steps", 3, "--epochs", 1)
    refused(78, "did you mean 'steps'", "train", "--data", small_dataset, "--set", "train.stepz=3")
    refused(78, "did you mean 'base_features'", "train", "--data", small_dataset, "--set", "model.base_feature=3")
    refused(78, "train.lr", "train", "--data", small_dataset, "--set", "train.lr=-1")
    refused(78, "did you mean 'unet-residual'", "train", "--data", small_dataset, "--model", "unet-residul")
    refused(78, "did you mean 'synthetic'", "prepare", "synthetik")
    refused(78, "did you mean 'hours'", "prepare", "synthetic", "--set", "hour=3")
    refused(66, "no such configuration", "train", "--config", "absent")
    refused(2, "did you mean 'models'", "list", "model")


def test_inputs_that_are_not_there() -> None:
    refused(66, "wml prepare", "train")
    refused(66, "wml train", "rollout")
    refused(66, "wml rollout", "evaluate")
    refused(66, "nothing there", "inspect", "absent.zarr")
    refused(66, "no such dataset", "train", "--data", "absent.zarr")


def test_cuda_where_there_is_none(small_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(69, "no GPU", "train", "--model", "unet", "--data", small_dataset, "--device", "cuda")


def test_plan() -> None:
    code, out, err = wml("plan", "--model", "unet-residual", "--grid", "64x64", "--channels", 3, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["parameters"] > 1e6
    assert found["train_peak_bytes"] > found["inference_peak_bytes"] > 4 * found["parameters"]
    assert found["flops_per_step"] > 0
    refused(69, "--vram", "plan", "--grid", "256x256", "--vram", "50MiB")
    refused(2, "24GiB", "plan", "--vram", "much")
    refused(2, "--grid", "plan", "--grid", "64")


def test_list_names_every_member() -> None:
    code, out, _ = wml("list", "--json")
    families = json.loads(out)
    assert code == 0
    assert {"persistence", "simple-cnn", "unet", "unet-residual"} <= families["models"].keys()
    assert {"hrrr", "netcdf", "synthetic"} <= families["sources"].keys()
    assert {"hrrr", "synthetic", "model/unet"} <= families["configs"].keys()
    assert all(line for family in ("sources", "models", "losses", "metrics") for line in families[family].values())


def test_help_loads_nothing_heavy() -> None:
    """So that it answers at once: torch, xarray and dask load inside the commands that need them."""
    code = (
        "import sys; from typer.testing import CliRunner; from cli.main import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "print(sorted({'torch', 'xarray', 'dask', 'zarr', 'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
