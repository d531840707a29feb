"""The stages on sequences, by the command line: prepare, train, rollout, evaluate, inspect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import refused, wml
from tests.data.sequences.toy import Toy, ToyMask
from weatherml.sources import SOURCES

TRAINED = ("--steps", 2, "--set", "model.base_features=8", "--set", "loss.kind=mse", "--set", "train.warmup=1")


@pytest.fixture(autouse=True)
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sources of sequences, registered for the while of a test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SOURCES, "_members", dict(SOURCES._members))
    for name, base in {"toy": Toy, "toy-mask": ToyMask}.items():
        SOURCES.register(name)(type(name, (base,), {"__doc__": "A toy.", "__module__": __name__}))  # type: ignore[type-var]


def test_the_stages_one_after_another() -> None:
    code, out, err = wml("prepare", "toy")
    assert (code, out.strip()) == (0, "dataset: data/dataset.zarr"), err
    assert "train: 136 samples" in err  # 4 series of 36 days, the first two without a past
    code, out, err = wml("train", "--model", "simple-cnn", "--run", "runs/a", *TRAINED)
    assert code == 0, err
    code, out, err = wml("rollout", "--part", "test")
    assert (code, out.strip()) == (0, "forecast: forecasts/a.nc"), err
    code, out, err = wml("evaluate")
    assert code == 0, err
    assert out.splitlines() == ["scores: evaluation/a/scores.json", "report: evaluation/a/report.html"]
    assert "training-mean" in err
    scores = json.loads(Path("evaluation/a/scores.json").read_text())["forecasts"]
    assert set(scores["a"]["target"]["rmse"]) == {"value", "low", "high"}

    code, out, err = wml("inspect", "data/dataset.zarr", "--deep", "--json")
    assert code == 0, err
    dataset = json.loads(out)
    assert (dataset["is"], dataset["task"], dataset["series"], dataset["length"]) == ("sequences", "emulate", 4, 3)
    assert dataset["samples"]["test"]["samples"] == 48  # 4 series of 12 days
    assert dataset["variables"]["first"]["std"] == pytest.approx(1, abs=0.05)
    code, out, err = wml("inspect", "forecasts/a.nc", "--json")
    assert code == 0, err
    predictions = json.loads(out)
    assert (predictions["is"], predictions["run"], predictions["samples"]) == ("predictions", "a", 48)

    refused(2, "--init: is for runs that forecast", "rollout", "--init", "last")
    refused(2, "--hours: is for runs that forecast", "rollout", "--hours", "6")
    refused(2, "--part tset: unknown", "rollout", "--part", "tset")
    refused(2, "--baseline persistence", "evaluate", "--baseline", "persistence")
    refused(66, "no such predictions", "evaluate", "none.nc")
    refused(73, "exists", "rollout", "--output", "forecasts/a.nc")


def test_positives_are_counted_and_what_is_no_option_refused() -> None:
    code, _, err = wml("prepare", "toy-mask", "--set", "base_rate=0.1")
    assert code == 0, err
    assert "positives: 0." in err
    for option, value in {"--workers": "2", "--dask": "tcp://none:1", "--start": "2020", "--end": "2021"}.items():
        refused(2, f"{option}: toy-mask does not take it", "prepare", "toy-mask", option, value)


def test_a_run_that_forecasts_takes_no_part() -> None:
    code, _, err = wml("prepare", "synthetic", "--set", "hours=60", "--set", "height=16", "--set", "width=16")
    assert code == 0, err
    code, _, err = wml("train", "--model", "simple-cnn", "--steps", 1, "--set", "model.base_features=8")
    assert code == 0, err
    refused(2, "--part: is for runs on sequences", "rollout", "--part", "test")
