"""`wml ensemble` with several runs: blended, and every bad use one line and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from cli.ensemble import blend_config, split_assignments
from tests.cli import commands
from tests.cli.commands import wml
from tests.data.sequences.toy import Toy
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.store import open_dataset
from weatherml.errors import ConfigError
from weatherml.forecast.blend.stacked import Stacked
from weatherml.run.directory import create_run
from weatherml.run.experiment import resolve
from weatherml.train.trainer import train


def refused(code: int, words: str, *arguments: object) -> None:
    """Assert that an ensemble fails with one line that says `words`, and this exit code."""
    commands.refused(code, words, "ensemble", *arguments)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def still(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Options that name two runs of persistence."""
    folder, dataset = tmp_path_factory.mktemp("runs"), open_dataset(small_dataset)
    paths = [create_run(folder / name, resolve(None, model="persistence"), dataset).path for name in ("one", "two")]
    return [part for path in paths for part in ("--run", path)]


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    """A dataset of sequences, and options that name two runs of it, hardly trained."""
    folder = tmp_path_factory.mktemp("emulators")
    data = prepare_sequences(Toy(), [], folder / "toy.zarr").path
    small = ["model.base_features=8", "model.blocks=1", "train.steps=2", "train.precision=32-true"]
    paths = [
        train(
            resolve(None, model="simple-cnn", assignments=[*small, f"train.seed={seed}"]),
            data,
            folder / f"run{seed}",
            device="cpu",
        ).path
        for seed in (1, 2)
    ]
    return data, [part for path in paths for part in ("--run", path)]


def test_forecasts_are_blended(still: list[object], small_dataset: Path) -> None:
    options = (*still, "--data", small_dataset, "--init", "last", "--steps", 2)
    code, out, err = wml("ensemble", *options)
    assert code == 0, err
    assert out == "forecast: forecasts/one-pool.zarr\n"
    assert "2 members of 2 steps each" in err
    with xr.open_zarr("forecasts/one-pool.zarr") as forecast:
        assert dict(forecast.sizes) == {"init_time": 1, "lead_time": 2, "member": 2, "y": 24, "x": 20}
        assert float(forecast.t2m_spread.max()) == 0  # persistence twice
    code, out, err = wml("inspect", "forecasts/one-pool.zarr", "--json")
    assert code == 0, err
    assert '"model": "blend (pool)"' in out


def test_sequences_are_blended(emulators: tuple[Path, list[object]]) -> None:
    data, runs = emulators
    code, out, err = wml("ensemble", *runs, "--data", data, "--combine", "stacked", "--set", "combine.penalty=0.01")
    assert code == 0, err
    assert out == "predictions: forecasts/run1-stacked.nc\n"
    assert Path("forecasts/run1-stacked.blend.json").is_file()
    weights = ("--weights", "forecasts/run1-stacked.blend.json")
    code, out, err = wml("ensemble", *runs, "--data", data, *weights)
    assert code == 0, err
    refused(65, "runs run1 + run2, not run2 + run1", *runs[2:], *runs[:2], "--data", data, *weights)
    refused(78, "--weights brings the settings", *runs, "--data", data, *weights, "--set", "blocks=4")
    refused(2, "only forecasts have them", *runs, "--data", data, "--steps", 3)
    refused(78, "calibration: spread is not for emulate", *runs, "--data", data, "--set", "calibration=spread")


def test_bad_use_is_refused_in_one_line(
    still: list[object], emulators: tuple[Path, list[object]], small_dataset: Path
) -> None:
    data = ("--data", small_dataset)
    refused(2, "there is one run, and nothing to blend it with", *still[:2], *data, "--combine", "pool")
    refused(2, "given twice", *still[:2], *still[:2], *data)
    refused(2, "its task is emulate", *still[:2], *emulators[1][:2], *data)
    refused(78, "did you mean 'stacked'", *still, *data, "--combine", "staked")
    refused(78, "did you mean 'blocks'", *still, *data, "--set", "block=3")
    refused(78, "combine.rule", *still, *data, "--combine", "conditional", "--set", "combine.rule=coin")
    refused(66, "no such run", *still[:2], "--run", "absent", *data)
    refused(66, "no such file", *still, *data, "--weights", "absent.blend.json")
    refused(65, "states in a row to fit a blend on", *still, *data, "--combine", "weighted", "--steps", 48)
    assert not list(Path("forecasts").glob("*"))


def test_settings_of_a_blend() -> None:
    assert split_assignments(["sampler.steps=3", "blocks=4"], blending=True) == (["sampler.steps=3"], ["blocks=4"])
    assert split_assignments(["sampler.steps=3", "blocks=4"], blending=False) == (["sampler.steps=3", "blocks=4"], [])
    config = blend_config("stacked", None, ["combine.penalty=0.1", "blocks=4"])
    assert config is not None
    assert (config.combine, config.blocks) == (Stacked(penalty=0.1), 4)
    assert blend_config(None, Path("x.blend.json"), []) is None
    with pytest.raises(ConfigError, match="--weights brings"):
        blend_config(None, Path("x.blend.json"), ["blocks=4"])
