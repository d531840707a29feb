"""`wml export`: one file that forecasts as the run does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from tests.cli.commands import refused, wml
from tests.run.test_bundle import UNET, saved_run
from weatherml.run.calibration import Calibration


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def forecast(command: str, run: Path, data: Path, *options: Any) -> xr.Dataset:
    """What a command forecasts with a run, in memory."""
    code, out, err = wml(command, "--run", run, "--data", data, "--init", "last", "--steps", 2, *options)
    assert code == 0, err
    with xr.open_zarr(out.strip().removeprefix("forecast: ")) as made:
        return made.load()


def test_a_bundle_forecasts_as_its_run(small_dataset: Path) -> None:
    run = saved_run(Path("runs/a"), small_dataset, UNET)
    code, out, err = wml("export")  # the newest run
    assert (code, out.strip()) == (0, "bundle: exports/a.safetensors"), err
    ours = forecast("rollout", run.path, small_dataset)
    theirs = forecast("rollout", Path("exports/a.safetensors"), small_dataset)
    xr.testing.assert_equal(ours, theirs)
    assert theirs["t2m"].notnull().all()
    code, out, err = wml("inspect", "exports/a.safetensors")
    assert code == 0, err
    assert "unet-residual" in out

    refused(73, "exists", "export", "--output", "exports/a.safetensors")
    assert wml("export", "--output", "exports/a.safetensors", "--overwrite")[0] == 0
    refused(2, "a bundle already", "export", "--run", "exports/a.safetensors")
    refused(2, "--data: is for bundles", "export", "--format", "torch", "--data", small_dataset)
    refused(66, "no such run", "export", "--run", "runs/none")
    content = bytearray(Path("exports/a.safetensors").read_bytes())
    content[-9] ^= 1
    Path("exports/a.safetensors").write_bytes(content)
    refused(65, "its checksum does not match", "rollout", "--run", "exports/a.safetensors", "--data", small_dataset)


def test_an_ensemble_of_a_calibrated_bundle(small_dataset: Path) -> None:
    model = {"kind": "crps", "base_features": 8, "depth": 1, "blocks": 1}
    run = saved_run(Path("runs/a"), small_dataset, model, loss="crps")
    warm = forecast("ensemble", run.path, small_dataset, "--members", 2)
    Calibration(temperature=(2.0,) * 5, sampler=None, before={}, after={}).save(run.path)
    ours = forecast("ensemble", run.path, small_dataset, "--members", 2)
    assert wml("export")[0] == 0
    theirs = forecast("ensemble", Path("exports/a.safetensors"), small_dataset, "--members", 2)
    xr.testing.assert_equal(ours, theirs)
    assert not ours["t2m"].equals(warm["t2m"])
    assert float(ours["t2m"].std("member").mean()) > 0
