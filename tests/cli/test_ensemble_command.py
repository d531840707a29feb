"""`wml ensemble`: drawn, scored and inspected; every bad input one line and its exit code."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import xarray as xr

from cli.ensemble import product_settings, sampler_settings, with_pace
from tests.cli import commands
from tests.cli.commands import wml
from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.models import MODELS
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train


def refused(code: int, words: str, *arguments: object) -> None:
    """Assert that an ensemble fails with one line that says `words`, and this exit code, before any work."""
    commands.refused(code, words, "ensemble", *arguments)
    assert not list(Path("forecasts").glob("*.zarr"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(kind: str, data: Path, path: Path, **model: object) -> Run:
    settings = {"model": {"kind": kind, **model}, "train": {"steps": 1, "batch": 2, "precision": "32-true"}}
    return train(parse(Experiment, settings), data, path, device="cpu")


@pytest.fixture(scope="module")
def runs(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind of model."""
    folder, small = tmp_path_factory.mktemp("runs"), {"base_features": 8, "depth": 1, "blocks": 1}
    sizes = {"persistence": {}, "crps": small, "edm": small, "ddpm": small}
    return {kind: trained(kind, small_dataset, folder / kind, **size).path for kind, size in sizes.items()}


def test_an_ensemble_is_drawn_scored_and_inspected(runs: dict[str, Path], small_dataset: Path) -> None:
    options = ("--data", small_dataset, "--init", "last", "--init", "2024-06-03T20:00Z", "--hours", 2, "--members", 3)
    code, out, err = wml(
        "ensemble", "--run", runs["edm"], *options, "--set", "sampler.steps=2", "--products", "mean,pmm"
    )
    assert code == 0, err
    assert out == "forecast: forecasts/edm-ensemble.zarr\n"
    assert "members/h" in err
    assert "3 members of 2 steps each" in err
    with xr.open_zarr("forecasts/edm-ensemble.zarr") as forecast:
        assert dict(forecast.sizes) == {"init_time": 2, "lead_time": 2, "member": 3, "y": 24, "x": 20}
        assert forecast.attrs["ensemble"]["sampler"] == {"steps": 2}
        assert {"t2m_mean", "t2m_pmm"} <= set(forecast)
        assert "t2m_spread" not in forecast
    code, out, err = wml("evaluate", "forecasts/edm-ensemble.zarr", "--truth", small_dataset)
    assert code == 0, err
    code, out, err = wml("inspect", "forecasts/edm-ensemble.zarr", "--json")
    assert code == 0, err
    assert '"members": 3' in out


def test_a_deterministic_run_perturbed(runs: dict[str, Path], small_dataset: Path) -> None:
    options = ("--run", runs["persistence"], "--data", small_dataset, "--init", "last", "--steps", 1, "--members", 2)
    code, _, err = wml("ensemble", *options, "--perturb", runs["ddpm"], "--amplitude", 0.5, "--sampler", "ddim")
    assert code == 0, err
    with xr.open_zarr("forecasts/persistence-ensemble.zarr") as forecast:
        assert float(abs(forecast.u10[0, 0, 0] - forecast.u10[0, 0, 1]).max()) > 0
        assert forecast.attrs["ensemble"]["amplitude"] == 0.5


def test_bad_input_is_refused_in_one_line(
    runs: dict[str, Path], small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--data", small_dataset, "--init", "last", "--steps", 1, "--device", "cpu")
    crps, edm, persistence = (("--run", runs[kind], *data) for kind in ("crps", "edm", "persistence"))
    refused(2, "persistence is deterministic; perturb it with a generative run (--perturb RUN)", *persistence)
    refused(2, "persistence is deterministic", *crps, "--perturb", runs["persistence"])
    refused(78, "members: Input should be greater than or equal to 2, got 1", *crps, "--members", 1)
    refused(78, "amplitude", *persistence, "--perturb", runs["crps"], "--amplitude", -1)
    refused(78, "nothing is perturbed", *crps, "--amplitude", 1)
    refused(78, "correlation", *crps, "--noise-correlation", 1)
    refused(78, "no product 'meen', did you mean 'mean'", *crps, "--products", "meen")
    refused(78, "crps samples in one call and takes no sampler", *crps, "--sampler", "heun")
    refused(78, "did you mean 'euler'", *edm, "--sampler", "eula")
    refused(78, "sampler.stepz: unknown key; did you mean 'steps'", *edm, "--set", "sampler.stepz=3")
    refused(78, "takes sampler.* alone", *edm, "--set", "train.lr=1")
    refused(66, "no such run", "--run", "absent", *data)
    refused(66, "no such run", *persistence, "--perturb", "absent")
    refused(66, "has no 2 state(s) up to that time", "--run", runs["persistence"], "--data", small_dataset,
            "--init", "2024-06-01T00", "--perturb", runs["crps"])  # fmt: skip
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**20))
    refused(74, "needs 2.7 MiB, 1.0 MiB free", *crps, "--members", 500, "--products", "none")


def test_a_sampler_off_the_levels_of_a_discrete_model(
    runs: dict[str, Path], small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODELS["ddpm"], "discrete", True, raising=False)
    refused(78, "was not trained at", "--run", runs["ddpm"], "--data", small_dataset, "--sampler", "heun-churn")


def test_mismatched_grids(runs: dict[str, Path], tmp_path: Path, write_netcdf: object) -> None:
    assert callable(write_netcdf)
    write_netcdf(tmp_path / "other.nc", shape=(16, 20))
    assert wml("prepare", "netcdf", "--input", tmp_path / "other.nc", "--output", "other.zarr")[0] == 0
    other = trained("persistence", Path("other.zarr"), tmp_path / "other")
    data = ("--data", "other.zarr", "--steps", 1)
    refused(65, "shape is (16, 20), the run was trained on (24, 20)", "--run", runs["crps"], *data)
    refused(65, "shape is (24, 20), that of", "--run", other.path, *data, "--perturb", runs["crps"])


def test_settings_from_options() -> None:
    assert sampler_settings(None, []) is None
    assert sampler_settings("heun", ["sampler.steps=9"]) == {"kind": "heun", "steps": 9}
    assert product_settings("all") == {}
    assert product_settings("none") == {"products": []}
    assert product_settings("mean, pmm") == {"products": ["mean", "pmm"]}
    with pytest.raises(ConfigError, match=r"takes sampler\.\* alone"):
        sampler_settings(None, ["model.depth=1"])


def test_the_pace_counts_what_this_job_did(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shown = iter([100.0, 136.0]), []
    monkeypatch.setattr("cli.ensemble.time.monotonic", lambda: next(clock))
    show = with_pace(lambda done, total, note: shown.append(note), steps=24)  # type: ignore[arg-type]
    show(240, 1200)  # ten members were there
    show(240 + 120, 1200)  # five more in 36 s: 500 an hour
    assert shown == ["", "500 members/h"]
