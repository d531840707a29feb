"""Training: it learns, it resumes to the same bits, it never saves a loss that is not finite."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from weatherml.config import parse
from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, ConfigError, MissingInputError, StoppedError
from weatherml.models import MODELS
from weatherml.run import checkpoint
from weatherml.run.calibration import Calibration
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment, resolve
from weatherml.samplers import SAMPLERS
from weatherml.train.optimizer import learning_rate
from weatherml.train.trainer import train
from weatherml.train.validation import Validator

GOLDEN = Path(__file__).parent / "golden"
SMALL: dict[str, dict[str, Any]] = {
    "simple-cnn": {"base_features": 8, "blocks": 1},
    "unet": {"base_features": 8, "depth": 1, "blocks": 1},
    "unet-residual": {"base_features": 8, "depth": 1, "blocks": 1},
    "crps": {"base_features": 8, "depth": 1, "blocks": 1},
    "ddpm": {"base_features": 8, "depth": 1, "blocks": 1, "condition_features": 4, "prediction": "v", "drop": 0.1},
    "edm": {"base_features": 8, "depth": 1, "blocks": 1},
}
GENERATIVE = sorted(name for name in MODELS if MODELS[name].generative)


def experiment(model: str = "unet-residual", parameters: Any = None, **training: Any) -> Experiment:
    """A small experiment with a model's usual loss, and two steps of its usual sampler."""
    settings = {
        "data": {"flips": True, "noise": 0.05},
        "model": {"kind": model, **SMALL.get(model, {}), **(parameters or {})},
        **({"sampler": {"steps": 2}} if MODELS[model].sampler else {}),
        "train": {
            "steps": 12,
            "batch": 2,
            "warmup": 2,
            "lr": 0.003,
            "precision": "32-true",
            "validation": {"every": 5, "cases": 2, "lead_steps": 2},
            "calibration": {"cases": 4},
            **training,
        },
    }
    return parse(Experiment, settings)


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("model", "stop_at"), [*(("unet-residual", step) for step in (1, 5, 11)), *((name, 5) for name in GENERATIVE)]
)
def test_a_stopped_run_goes_on_to_the_same_bits(small_dataset: Path, tmp_path: Path, model: str, stop_at: int) -> None:
    validation = {"every": 3, "cases": 2, "lead_steps": 1 if model in GENERATIVE else 2}
    config = experiment(model, validation=validation)
    whole = train(config, small_dataset, tmp_path / "whole", device="cpu")

    def stop(report: Any) -> None:
        if report.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weatherml.train.trainer.LOG_EVERY", 1)
        whole_again = train(config, small_dataset, tmp_path / "again", device="cpu")
        with pytest.raises(StoppedError) as stopped:
            train(config, small_dataset, tmp_path / "parts", device="cpu", display=stop)
        assert stopped.value.exit_code == 128 + signal.SIGTERM
        assert checkpoint.steps(tmp_path / "parts" / "checkpoints") == [stop_at]
        parts = train(config, small_dataset, tmp_path / "parts", device="cpu")

    for name in ("step-12", "best"):
        ours, theirs = (checkpoint.load(run.checkpoints / name) for run in (parts, whole))
        assert ours.step == theirs.step
        for key, weight in theirs.weights.items():
            assert torch.equal(ours.weights[key], weight), key
        for key, weight in theirs.average.items():
            assert torch.equal(ours.average[key], weight), key
    assert lines(parts) == lines(whole_again)
    assert Calibration.load(parts.path) == Calibration.load(whole.path)


def test_a_signal_during_validation_ends_it_there(small_dataset: Path, tmp_path: Path) -> None:
    """What it has cost so far is lost, no step is; the resumed run begins with it."""
    config = experiment(validation={"every": 5, "cases": 6, "lead_steps": 2})
    whole = train(config, small_dataset, tmp_path / "whole", device="cpu")
    original, batches = Validator._sums, []

    def stop(self: Validator, *arguments: Any) -> torch.Tensor:
        batches.append(1)
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "_sums", stop)
        with pytest.raises(StoppedError, match="stopped at step 5 of 12, saved"):
            train(config, small_dataset, tmp_path / "parts", device="cpu")
    assert len(batches) == 1  # of three
    assert checkpoint.steps(tmp_path / "parts" / "checkpoints") == [5]
    parts = train(config, small_dataset, tmp_path / "parts", device="cpu")
    assert lines(parts) == lines(whole)
    for name in ("step-12", "best"):
        ours, theirs = (checkpoint.load(run.checkpoints / name).average for run in (parts, whole))
        assert all(torch.equal(ours[key], weight) for key, weight in theirs.items())


def test_training_beats_persistence_on_a_world_that_moves(small_dataset: Path, tmp_path: Path) -> None:
    run = train(experiment(steps=150, lr=0.005), small_dataset, tmp_path / "run", device="cpu")
    skill = run.status()["skill"]
    assert skill < 1.0
    losses = [line["loss"] for line in lines(run) if "loss" in line]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "model", [name for name in MODELS if MODELS[name].trainable and "forecast" in MODELS[name].tasks]
)
def test_golden_loss_curve(small_dataset: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 steps on the CPU; delete the file to write it anew."""
    monkeypatch.setattr("weatherml.train.trainer.LOG_EVERY", 1)
    run = train(experiment(model, steps=20, ema=0.9), small_dataset, tmp_path / "run", device="cpu")
    curve = [line["loss"] for line in lines(run) if "loss" in line]
    assert len(curve) == 20
    file = GOLDEN / f"{model}.json"
    if not file.exists():
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(json.dumps([round(loss, 6) for loss in curve]) + "\n")
        pytest.fail(f"{file} was absent and is written now; look at it and commit it")
    assert curve == pytest.approx(json.loads(file.read_text()), rel=2e-3)  # processors round differently


@pytest.mark.parametrize("model", GENERATIVE)
def test_a_generative_run_is_validated_and_calibrated(small_dataset: Path, tmp_path: Path, model: str) -> None:
    run = train(experiment(model, steps=20), small_dataset, tmp_path / "run", device="cpu")
    fit = Calibration.load(run.path)
    assert fit is not None
    assert fit.sampler == (run.experiment.sampler.settings() if run.experiment.sampler else None)
    names = run.lineage.names
    assert fit.before.keys() == fit.after.keys() <= set(names)
    last = [line for line in lines(run) if "skill" in line][-1]
    assert {key.removeprefix("spread_skill/") for key in last if key.startswith("spread_skill/")} <= set(names)
    loaded: Any = run.load_model()
    assert tuple(loaded.temperature.flatten().tolist()) == pytest.approx(fit.temperature)
    levels = [key for line in lines(run) for key in line if key.startswith("sigma/")]
    assert bool(levels) == (run.experiment.sampler is not None)


def test_another_sampler_leaves_the_calibration_out(
    small_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(experiment("edm", steps=2), small_dataset, tmp_path / "run", device="cpu")
    fit = Calibration.load(run.path)
    assert fit is not None
    replace(fit, temperature=(1.2,) * len(fit.temperature)).save(run.path)
    run.set_status(state="finished")  # which vouches for it
    assert run.experiment.sampler is not None
    loaded: Any = run.load_model(run.experiment.sampler)
    assert loaded.temperature.flatten().tolist() == pytest.approx([1.2] * len(fit.temperature))
    assert "sampler" not in caplog.text
    other: Any = run.load_model(SAMPLERS["euler"](steps=3))
    assert (other.temperature == 1).all()
    assert other.sampler == SAMPLERS["euler"](steps=3)
    assert "calibrated for another sampler" in caplog.text


def test_no_calibration_where_none_is_wanted(small_dataset: Path, tmp_path: Path) -> None:
    run = train(experiment("crps", steps=2, calibration={"cases": 0}), small_dataset, tmp_path / "run", device="cpu")
    assert Calibration.load(run.path) is None
    assert (run.load_model().temperature == 1).all()  # type: ignore[union-attr]


def test_an_ensemble_starts_from_a_deterministic_network(small_dataset: Path, tmp_path: Path) -> None:
    alike = {"norm": "point", "scaled_inputs": True}
    first = train(experiment(parameters=alike, steps=20), small_dataset, tmp_path / "first", device="cpu")
    config = experiment("crps", steps=1, lr=1e-30, weight_decay=0.0, start=str(first.path), calibration={"cases": 0})
    ours: Any = train(config, small_dataset, tmp_path / "crps", device="cpu").load_model()
    theirs: Any = first.load_model()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
    new = ours.state_dict().keys() - theirs.state_dict().keys()
    assert new
    assert all(ours.state_dict()[name].abs().max() < 1e-20 for name in new)  # the layers of noise
    shape = ours.inputs.channels, *open_dataset(small_dataset).grid.shape
    x, maps = torch.randn(2, *shape), torch.randn(2, ours.noise_channels, *shape[1:])
    with torch.no_grad():
        torch.testing.assert_close(ours.network(x, maps), theirs.network(x), rtol=1e-5, atol=1e-6)


def test_a_start_that_does_not_fit_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    first = train(experiment("simple-cnn", steps=1), small_dataset, tmp_path / "first", device="cpu")
    with pytest.raises(BadDataError, match=r"train\.start: no weight of .*first \(simple-cnn\) fits this crps"):
        train(experiment("crps", start=str(first.path)), small_dataset, tmp_path / "run", device="cpu")
    with pytest.raises(MissingInputError, match="no such run"):
        train(experiment(start=str(tmp_path / "absent")), small_dataset, tmp_path / "other", device="cpu")


def test_accumulation_keeps_the_effective_batch(small_dataset: Path, tmp_path: Path) -> None:
    """Four microbatches of one case step like one batch of four (no augmentation, no masked points differ)."""
    at_once, in_parts = (
        train(
            parse(
                Experiment,
                {
                    "data": {"variables": ["t2m"]},
                    "model": {"kind": "simple-cnn", **SMALL["simple-cnn"]},
                    "loss": "mse",
                    "train": {
                        "steps": 1,
                        "batch": batch,
                        "accumulate": 4 // batch,
                        "warmup": 0,
                        "precision": "32-true",
                    },
                },
            ),
            small_dataset,
            tmp_path / f"batch-{batch}",
            device="cpu",
        )
        for batch in (4, 1)
    )
    for key, weight in checkpoint.load(at_once.checkpoints / "step-1").weights.items():
        other = checkpoint.load(in_parts.checkpoints / "step-1").weights[key]
        torch.testing.assert_close(other, weight, rtol=1e-3, atol=1e-5)


def test_offloading_what_the_backward_pass_needs_changes_nothing(small_dataset: Path, tmp_path: Path) -> None:
    settings = {"steps": 4, "checkpointing": "blocks"}
    kept, offloaded = (
        train(experiment(offload=offload, **settings), small_dataset, tmp_path / str(offload), device="cpu")
        for offload in (False, True)
    )
    assert lines(offloaded) == lines(kept)


def test_another_configuration_is_refused_by_the_key_that_differs(small_dataset: Path, tmp_path: Path) -> None:
    train(experiment(steps=2), small_dataset, tmp_path / "run", device="cpu")
    with pytest.raises(ConfigError, match=r"train.lr=0.003, not 0.5"):
        train(experiment(steps=2, lr=0.5), small_dataset, tmp_path / "run", device="cpu")


def test_a_finished_run_is_left_as_it_is(small_dataset: Path, tmp_path: Path) -> None:
    run = train(experiment(steps=2), small_dataset, tmp_path / "run", device="cpu")
    before = run.status()
    train(experiment(steps=2), small_dataset, tmp_path / "run", device="cpu")
    assert run.status() == before


def test_early_stopping(small_dataset: Path, tmp_path: Path) -> None:
    """A learning rate of nearly nothing improves nothing: the first validation is the best, one more is stale."""
    settings = {"every": 2, "cases": 1, "lead_steps": 1, "patience": 1}
    run = train(experiment(steps=12, lr=1e-30, validation=settings), small_dataset, tmp_path / "run", device="cpu")
    assert run.status()["step"] == 4


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = resolve(None, assignments=["train.lr=1.0", "train.warmup=10"]).train
    assert learning_rate(0, 110, config) == pytest.approx(0.1)  # 1/10 of the peak
    assert learning_rate(9, 110, config) == pytest.approx(1.0)
    assert learning_rate(60, 110, config) == pytest.approx(0.5)  # half of the cosine: 50 of 100 steps
    assert learning_rate(110, 110, config) == pytest.approx(0.0)


def test_persistence_needs_no_training(small_dataset: Path, tmp_path: Path) -> None:
    run = train(
        parse(Experiment, {"model": "persistence", "loss": "l1"}), small_dataset, tmp_path / "run", device="cpu"
    )
    assert run.status()["state"] == "finished"
    assert run.load_model()
