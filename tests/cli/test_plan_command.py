"""`wml plan` and `wml train --fit`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import refused, wml
from weatherml.run.directory import open_run

SMALL = ("--model", "simple-cnn", "--set", "model.base_features=8")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_parts_and_time() -> None:
    options = ("--grid", "64x64", "--cases", 160, "--tflops", 2, "--set", "train.epochs=1")
    code, out, err = wml("plan", *SMALL, *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert sum(found["memory"].values()) == found["train_peak_bytes"]
    assert found["time"]["seconds_per_step"] == pytest.approx(found["flops_per_step"] / 2e12)
    assert found["time"]["steps"] == 20  # 160 cases, 8 a step
    code, out, err = wml("plan", *SMALL, *options)
    assert code == 0, err
    for words in ("activations", "an epoch of 160 cases", "sustains 2 TFLOP/s"):
        assert words in out


def test_apply_writes_an_experiment_that_trains(small_dataset: Path) -> None:
    chosen = ("plan", *SMALL, "--vram", "2GiB", "--no-time", "--grid", "16x16", "--apply", "fitted.yaml")
    code, out, err = wml(*chosen, "--json")
    assert code == 0, err
    settings = json.loads(out)["settings"]
    assert json.loads(out)["time"] is None
    code, _, err = wml("train", "--config", "fitted.yaml", "--data", small_dataset, "--steps", 2, "--run", "run")
    assert code == 0, err
    train = open_run("run").experiment.train
    assert (train.batch, train.accumulate) == (settings["batch"], settings["accumulate"])
    refused(73, "fitted.yaml: exists", *chosen)


def test_train_fits_and_goes_on(small_dataset: Path) -> None:
    # eight cases in two microbatches; 4 GiB hold all eight at once
    command = ("train", *SMALL, "--data", small_dataset, "--run", "run", "--fit", "--set", "train.batch=4")
    command += ("--set", "train.accumulate=2", "--steps", 2, "--device", "cpu")
    code, _, err = wml(*command, "--vram", "4GiB")
    assert code == 0, err
    assert "fit: batch=8 accumulate=1 checkpointing=none" in err
    train = open_run("run").experiment.train
    assert (train.batch, train.accumulate) == (8, 1)
    code, _, err = wml(*command, "--vram", "1MiB")  # it goes on with what it began with, whatever is free now
    assert code == 0, err
    assert "goes on with the settings it began with" in err


def test_what_cannot_be(small_dataset: Path) -> None:
    refused(69, "needs", "train", *SMALL, "--data", small_dataset, "--fit", "--vram", "20KiB", "--device", "cpu")
    refused(2, "--fit", "train", *SMALL, "--data", small_dataset, "--vram", "1GiB")
    refused(2, "24GiB", "train", *SMALL, "--data", small_dataset, "--fit", "--vram", "much", "--device", "cpu")
