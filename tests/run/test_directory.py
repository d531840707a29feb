"""Runs on disk: they open as they were written, and whatever is broken in them is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weatherml.config import parse
from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.files import write_json
from weatherml.run import checkpoint
from weatherml.run.calibration import Calibration
from weatherml.run.directory import (
    FITTED,
    STATUS,
    Run,
    create_run,
    first_difference,
    load_weights,
    open_or_create,
    open_run,
)
from weatherml.run.experiment import Experiment, resolve
from weatherml.run.inspection import inspect
from weatherml.run.lineage import Lineage
from weatherml.seal import file_hashes, read_description, write_description

SETTINGS: dict[str, Any] = {
    "model": {"kind": "unet-residual", "base_features": 8, "depth": 1, "blocks": 1},
    "loss": "l1",
}


@pytest.fixture
def run(small_dataset: Path, tmp_path: Path) -> Run:
    made = create_run(tmp_path / "run", parse(Experiment, SETTINGS), open_dataset(small_dataset))
    model = made.build_model()
    checkpoint.save(made.checkpoints, saved(model, step=3))
    return made


def saved(model: torch.nn.Module, *, step: int) -> checkpoint.Checkpoint:
    optimizer = torch.optim.AdamW(model.parameters())
    return checkpoint.Checkpoint(
        step=step, weights=model.state_dict(), average=model.state_dict(), optimizer=optimizer.state_dict(), progress={}
    )


def test_a_run_opens_as_it_was_written(run: Run, small_dataset: Path) -> None:
    again = open_run(run.path)
    assert again.experiment == run.experiment
    assert again.lineage.settings() == run.lineage.settings() == Lineage.of(open_dataset(small_dataset)).settings()
    for name, weight in run.load_model().state_dict().items():
        assert torch.equal(again.load_model().state_dict()[name], weight)


def test_only_the_newest_checkpoints_are_kept(run: Run) -> None:
    for step in (5, 10, 15):
        checkpoint.save(run.checkpoints, saved(run.build_model(), step=step))
    assert checkpoint.steps(run.checkpoints) == [10, 15]
    latest = run.latest()
    assert latest is not None
    assert latest.step == 15


def test_weights_of_another_configuration_are_refused_by_name(run: Run) -> None:
    wider = parse(Experiment, {**SETTINGS, "model": {**SETTINGS["model"], "base_features": 16}})
    model = wider.model.build(run.lineage.model_shape(wider))
    latest = run.latest()
    assert latest is not None
    with pytest.raises(BadDataError, match=r"weight network\.\S+ is \(.*\), the model has \("):
        load_weights(model, latest.average, run.path)


@pytest.mark.parametrize("name", ["average.safetensors", "weights.safetensors", "optimizer.pt"])
def test_a_truncated_checkpoint_is_found(run: Run, name: str) -> None:
    file = run.checkpoints / "step-3" / name
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(BadDataError, match=f"{name}: changed or lost.*go on from the one before"):
        run.latest()


def test_a_pickled_optimizer_state_is_not_executed(run: Run, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "canary",))

    folder = run.checkpoints / "step-3"
    torch.save(Payload(), folder / "optimizer.pt")
    hashes = file_hashes(folder, ["optimizer.pt"])  # who forges the file forges its hash
    write_description(folder / checkpoint.MARKER, "checkpoint", {"step": 3, "progress": {}, "files": hashes})
    with pytest.raises(BadDataError, match="does not read"):
        run.latest()
    assert not (tmp_path / "canary").exists()


def test_what_is_no_run_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="wml train"):
        open_run(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDataError, match="not a run"):
        open_run(tmp_path / "empty")
    data = json.loads((run.path / "data.json").read_text())
    (run.path / "data.json").write_text(json.dumps({**data, "step_seconds": 1800}))
    with pytest.raises(BadDataError, match=r"data\.json: changed since it was written"):
        open_run(run.path)
    del data["schema"], data["seal"]
    write_description(run.path / "data.json", "run", data)
    (run.path / "config.yaml").write_text((run.path / "config.yaml").read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(BadDataError, match=r"config\.yaml: changed or lost"):
        open_run(run.path)
    (run.path / "config.yaml").write_text("model: {kind: unet-residual, bass_features: 8}\nloss: l1\n")
    write_description(run.path / "data.json", "run", data | {"files": {}})  # as of the first runs
    with pytest.raises(BadDataError, match="did you mean 'base_features'"):
        open_run(run.path)


def test_the_status_is_sealed(run: Run) -> None:
    run.set_status(state="running", steps=9)
    status = run.status()
    assert (status["state"], status["step"], status["steps"]) == ("running", 0, 9)
    assert not {"schema", "files", "seal"} & status.keys()
    text = (run.path / STATUS).read_text()
    (run.path / STATUS).write_text(text.replace('"steps": 9', '"steps": 8'))
    with pytest.raises(BadDataError, match=r"status\.json: changed since it was written; .* from the last checkpoint"):
        run.status()


def test_the_first_states_carried_no_seal(run: Run) -> None:
    write_json(run.path / STATUS, {"state": "running", "step": 4})
    assert run.status() == {"state": "running", "step": 4}
    run.set_status(step=5)
    assert read_description(run.path / STATUS, "status")["step"] == 5


def test_a_lost_status_is_written_again_for_the_same_run_alone(run: Run, small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    (run.path / STATUS).unlink()
    with pytest.raises(BadDataError, match=r"status\.json: lost, or training was killed as it began; the same"):
        open_run(run.path)
    other = parse(Experiment, SETTINGS | {"train": {"lr": 0.5}})
    with pytest.raises(ConfigError, match=r"the run has train\.lr=.*, not 0\.5"):
        open_or_create(run.path, other, dataset, resume=True)
    found = open_or_create(run.path, run.experiment, dataset, resume=True)
    assert found.status()["state"] == "created"
    assert found.best().step == 3


def test_a_finished_run_vouches_for_its_calibration(run: Run) -> None:
    fit = Calibration(temperature=(1.1,), sampler=None, before={"t2m": 0.8}, after={"t2m": 0.9})
    run.set_status(state="finished")
    assert run.calibration() is None
    fit.save(run.path)
    assert run.calibration() == fit  # by its own seal: training was killed before its status said so
    run.set_status(state="finished")
    assert (run.calibration(), run.finished) == (fit, True)
    Calibration(temperature=(1.2,), sampler=None, before={}, after={}).save(run.path)  # whole, but another one
    with pytest.raises(BadDataError, match=r"calibration\.json: changed or lost .* `wml train` fits it again"):
        run.calibration()
    assert not run.finished
    (run.path / FITTED[0]).unlink()
    with pytest.raises(BadDataError, match=r"calibration\.json: changed or lost"):
        run.calibration()
    run.set_status(state="running")  # and will be fitted anew
    assert run.calibration() is None


def test_first_difference() -> None:
    ours, theirs = {"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2, "d": 4}}
    assert first_difference(ours, ours) == ""
    assert first_difference(ours, theirs) == "the run has b.d=3, not 4"


def test_configuration_is_resolved_in_order() -> None:
    """File, then --model with its shipped parameters, then --set."""
    experiment = resolve("synthetic", model="simple-cnn", assignments=["model.blocks=2", "train.lr=0.5"])
    settings = experiment.settings()
    assert settings["model"]["kind"] == "simple-cnn"
    assert settings["model"]["blocks"] == 2
    assert settings["train"]["lr"] == 0.5
    with pytest.raises(ConfigError, match=r"train\.validation\.evry: unknown key; did you mean 'every'"):
        resolve(None, assignments=["train.validation.evry=3"])


def test_inspect_describes_what_it_finds(run: Run, small_dataset: Path) -> None:
    dataset = inspect(small_dataset, deep=True)
    assert dataset["is"] == "dataset"
    assert dataset["times"] == len(open_dataset(small_dataset).times)
    assert set(dataset["variables"]) == set(open_dataset(small_dataset).names)
    found = inspect(run.path)
    assert found["is"] == "run"
    assert found["parameters"] == sum(p.numel() for p in run.build_model().parameters())
    assert found["checkpoints"] == ["step-3"]
    assert np.isfinite(dataset["variables"]["t2m"]["std"])
    with pytest.raises(MissingInputError):
        inspect(run.path / "absent")
    with pytest.raises(BadDataError, match="neither"):
        inspect(run.path / "checkpoints")
