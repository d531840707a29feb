"""Blends of sequences, of runs whose errors are known: what they predict is the truth and noise of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.data.sequences.toy import Toy, ToyMask
from weatherml.config import parse
from weatherml.data.sequences.predictions import Predictions, open_predictions
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import BINARY, SequenceDataset, open_sequences
from weatherml.errors import BadDataError, ConfigError, OutputError, UsageError
from weatherml.files import read_json, write_json
from weatherml.forecast.blend import COMBINERS, sequences
from weatherml.forecast.blend.config import BlendConfig, blend_path
from weatherml.forecast.blend.sequences import blend_sequences
from weatherml.run.directory import Run, create_run, open_run
from weatherml.run.experiment import resolve
from weatherml.sources.sequences import PARTS, Sequences
from weatherml.tasks import Task
from weatherml.variables import Variable


class ToyEvent(ToyMask):
    """One point a place, of which the event is to be told."""

    task: ClassVar[Task] = "classify"
    steps: int = 300
    size: int = 1


class Worse(Toy):
    """Another target beside."""

    def build(self, inputs: Sequence[str]) -> Sequences:
        found = super().build(inputs)
        values = found.values | {"other": found.values["target"]}
        return replace(found, targets=(*found.targets, Variable(name="other", units="K")), values=values)


MODELS = {"emulate": "simple-cnn", "classify": "cnn-convlstm", "segment": "convlstm-segmenter"}
SKILL = {"good": 0.5, "fair": 0.7, "poor": 1.5}
"""By run, the standard deviation of its error, in units of the truth's or as log odds."""
TASKS = {"emulate": Toy, "classify": ToyEvent, "segment": ToyMask}


def said(run: Run, dataset: SequenceDataset, parts: Sequence[str], **options: object) -> Predictions:
    """What a run of this name says: the truth with noise, probabilities too sure."""
    rng = np.random.default_rng(sorted(SKILL).index(run.path.name))
    wanted = np.isin(dataset.part, [PARTS.index(part) for part in parts])[..., None, None]
    values = {}
    for target in dataset.targets:
        truth = dataset.values[target.name]
        noise = SKILL[run.path.name] * rng.standard_normal(truth.shape)
        blurred = 3 * (truth - 0.5 + noise) if dataset.task in BINARY else truth + 5 * noise
        predicted = 1 / (1 + np.exp(-3 * blurred)) if dataset.task in BINARY else blurred
        values[target.name] = np.where(wanted, predicted, np.nan).astype(np.float32)
    kept = {name: getattr(dataset, name) for name in ("task", "grid", "series", "times", "targets")}
    return Predictions(**kept, values=values, attributes={"dataset": dataset.path.name})


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "predictions", said)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[Path]]]:
    """By task, a dataset and runs that need no training."""
    found = {}
    for task, kind in TASKS.items():
        folder = tmp_path_factory.mktemp(task)
        dataset = prepare_sequences(kind(), [], folder / "data.zarr")
        runs = [create_run(folder / name, resolve(None, model=MODELS[task]), dataset).path for name in SKILL]
        found[task] = (dataset.path, runs)
    return found


def config(combine: str, **settings: object) -> BlendConfig:
    return parse(BlendConfig, {"combine": combine, **settings})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("combine", list(COMBINERS))
def test_every_blend_of_every_task(
    task: str, combine: str, worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path
) -> None:
    data, runs = worlds[task]
    output = blend_sequences(runs, data, config(combine), output=tmp_path / "blend.nc")
    blended = open_predictions(output)
    assert blended.task == task
    assert blended.attributes["run"] == "good + fair + poor"
    assert json.loads(blended.attributes["blend"])["combine"] == combine
    held_out = said_by(runs[0], data).values["target"]
    np.testing.assert_array_equal(np.isnan(blended.values["target"]), np.isnan(held_out))
    report = read_json(blend_path(output))["scores"]
    test = report["test"]["target"]
    error = "rmse" if task == "emulate" else "log_loss"
    best = min(test[name][error] for name in SKILL)
    if combine in ("weighted", "stacked"):  # a tie-breaker or a pool may lose to a best run that is much better
        assert test["blend"][error] < best
    stages = report["validation"]["target"]
    assert list(stages) == (["raw"] if task == "emulate" else ["raw", "calibrated"])
    for name in () if task == "emulate" else ("fair", "poor"):
        assert stages["calibrated"][name]["log_loss"] < stages["raw"][name]["log_loss"]


def said_by(run: Path, data: Path) -> Predictions:
    return said(open_run(run), open_sequences(data), ("validation", "test"))


def test_the_pool_of_fields_is_their_mean_and_needs_no_validation(
    worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path
) -> None:
    data, runs = worlds["emulate"]
    output = blend_sequences(runs[:2], data, output=tmp_path / "pool.nc")
    each = [said_by(run, data).values["target"] for run in runs[:2]]
    np.testing.assert_allclose(open_predictions(output).values["target"], (each[0] + each[1]) / 2, rtol=1e-6)


def test_nothing_is_learnt_from_the_test_part(
    worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, runs = worlds["classify"]

    def fitted(name: str) -> object:
        blend_sequences(runs, data, config("stacked"), output=tmp_path / name)
        return read_json(blend_path(tmp_path / name))["fitted"]

    before = fitted("before.nc")
    truth = SequenceDataset.values.func  # type: ignore[attr-defined]

    def flipped(self: SequenceDataset) -> dict[str, np.ndarray]:
        values = truth(self)
        test = (self.part == PARTS.index("test"))[..., None, None]
        return values | {"target": np.where(test, 1 - values["target"], values["target"])}

    predicted = {run.name: said_by(run, data) for run in runs}
    monkeypatch.setattr(sequences, "predictions", lambda run, *rest, **options: predicted[run.path.name])
    monkeypatch.setattr(SequenceDataset, "values", property(flipped))
    assert fitted("after.nc") == before


def test_weights_of_an_earlier_blend(worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path) -> None:
    data, runs = worlds["segment"]
    first = blend_sequences(runs, data, config("stacked"), output=tmp_path / "first.nc")
    weights = blend_path(first)
    again = blend_sequences(runs, data, weights=weights, output=tmp_path / "again.nc")
    np.testing.assert_array_equal(open_predictions(again).values["target"], open_predictions(first).values["target"])
    with pytest.raises(BadDataError, match=r"weights: fitted for runs good \+ fair \+ poor, not good \+ fair"):
        blend_sequences(runs[:2], data, weights=weights, output=tmp_path / "other.nc")
    with pytest.raises(BadDataError, match="fitted for stacked, not pool; leave --combine out"):
        blend_sequences(runs, data, config("pool"), weights=weights, output=tmp_path / "other.nc")
    write_json(tmp_path / "odd.json", {"fitted": 3})
    with pytest.raises(BadDataError, match="not weights of a blend"):
        blend_sequences(runs, data, weights=tmp_path / "odd.json", output=tmp_path / "other.nc")
    assert not (tmp_path / "other.nc").exists()


def test_other_targets_are_refused_or_left_out(
    worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, runs = worlds["emulate"]
    wider = prepare_sequences(Worse(), [], tmp_path / "wider.zarr")
    other = create_run(tmp_path / "fair", resolve(None, model="simple-cnn"), wider)
    with pytest.raises(BadDataError, match="good: does not predict other, another run does; leave it out"):
        blend_sequences([runs[0], other.path], data, output=tmp_path / "blend.nc")
    finer = prepare_sequences(Toy(size=8), [], tmp_path / "finer.zarr")
    apart = create_run(tmp_path / "poor", resolve(None, model="simple-cnn"), finer)
    with pytest.raises(BadDataError, match=r"poor: shape is \(8, 8\), that of .*good \(6, 6\)"):
        blend_sequences([runs[0], apart.path], data, output=tmp_path / "blend.nc")


def test_bad_use(worlds: dict[str, tuple[Path, list[Path]]], tmp_path: Path) -> None:
    (data, runs), (_, maskers) = worlds["emulate"], worlds["segment"]
    output = tmp_path / "blend.nc"
    with pytest.raises(UsageError, match="there is one run, and nothing to blend it with"):
        blend_sequences(runs[:1], data, output=output)
    with pytest.raises(UsageError, match="given twice"):
        blend_sequences([runs[0], runs[0]], data, output=output)
    with pytest.raises(UsageError, match=r"its task is segment, that of .* emulate; blend runs of one task"):
        blend_sequences([runs[0], maskers[1]], data, output=output)
    with pytest.raises(ConfigError, match="calibration: platt is not for emulate; take none"):
        blend_sequences(runs, data, config("pool", calibration="platt"), output=output)
    with pytest.raises(ConfigError, match=r"combine.rule: confidence is of probabilities"):
        blend_sequences(runs, data, config({"kind": "conditional", "rule": "confidence"}), output=output)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"give --output NAME.nc"):
        blend_sequences(runs, data, output=tmp_path / "blend.zarr")
    output.touch()
    with pytest.raises(OutputError, match="exists"):
        blend_sequences(runs, data, output=output)


def test_an_empty_validation_part_is_refused_but_a_plain_pool_is_made(tmp_path: Path) -> None:
    class Unvalidated(Toy):
        def build(self, inputs: Sequence[str]) -> Sequences:
            found = super().build(inputs)
            return replace(found, part=np.where(found.part == 1, -1, found.part).astype(np.int8))

    dataset = prepare_sequences(Unvalidated(), [], tmp_path / "data.zarr")
    runs = [create_run(tmp_path / name, resolve(None, model="simple-cnn"), dataset).path for name in ("good", "poor")]
    with pytest.raises(BadDataError, match="no validation sample to fit a blend on"):
        blend_sequences(runs, dataset.path, config("weighted"), output=tmp_path / "blend.nc")
    assert blend_sequences(runs, dataset.path, output=tmp_path / "blend.nc").exists()
