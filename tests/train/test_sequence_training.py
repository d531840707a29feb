from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.sequences.toy import Toy, ToyMask
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import BadDataError, ConfigError
from weatherml.fields import Shape
from weatherml.losses import LOSSES
from weatherml.models import MODELS
from weatherml.run.directory import open_run
from weatherml.run.experiment import resolve
from weatherml.train.planning.plan import plan
from weatherml.train.trainer import train

SMALL = ["model.base_features=8", "train.warmup=5", "train.lr=0.005", "train.validation.every=60"]


def test_an_emulator_learns_the_law(tmp_path: Path) -> None:
    prepare_sequences(Toy(), [], tmp_path / "toy.zarr")
    experiment = resolve(None, model="simple-cnn", assignments=[*SMALL, "loss.kind=mse", "train.steps=120"])
    run = train(experiment, tmp_path / "toy.zarr", tmp_path / "run", device="cpu")
    status = run.status()
    assert status["skill"] < 0.3  # the law is exact: the last two of the first input
    assert status["reference"] == "the training mean"
    reopened = open_run(tmp_path / "run")
    assert reopened.lineage.settings() == run.lineage.settings()
    assert reopened.lineage.names == ["target"]


def test_a_model_of_another_task_is_refused_before_training(tmp_path: Path) -> None:
    prepare_sequences(ToyMask(), [], tmp_path / "mask.zarr")
    with pytest.raises(ConfigError, match=r"model.kind: crps serves forecast, the data are for segment"):
        train(resolve(None, model="crps"), tmp_path / "mask.zarr", tmp_path / "run", device="cpu")


@pytest.mark.parametrize("setting", ["data.forcing=era5.zarr", "data.storms.share=0.5"])
def test_what_serves_forecasts_alone_is_refused(tmp_path: Path, setting: str) -> None:
    prepare_sequences(Toy(), [], tmp_path / "toy.zarr")
    name = setting.partition("=")[0].removesuffix(".share")
    with pytest.raises(ConfigError, match=rf"{name}: is for forecasts, .*toy\.zarr for emulate; leave it out"):
        train(resolve(None, model="simple-cnn", assignments=[setting]), tmp_path / "toy.zarr", tmp_path / "run")


def test_other_sequences_do_not_fit_a_run(tmp_path: Path) -> None:
    prepare_sequences(Toy(), [], tmp_path / "toy.zarr")
    run = train(
        resolve(None, model="simple-cnn", assignments=[*SMALL, "train.steps=1"]),
        tmp_path / "toy.zarr",
        tmp_path / "run",
        device="cpu",
    )
    longer = prepare_sequences(Toy(length=4), [], tmp_path / "longer.zarr")
    with pytest.raises(BadDataError, match=r"length is 4, the run was trained on 3"):
        run.lineage.matched(longer)  # type: ignore[arg-type]


def test_what_a_step_on_sequences_takes_is_known_beforehand() -> None:
    shape = Shape(channels=3, targets=1, history=2, height=16, width=16, delta_std=(1.0,))
    model = MODELS["simple-cnn"](base_features=8, blocks=1)
    found = plan(model, shape, loss=LOSSES["mse"]())
    assert found.parameters == sum(p.numel() for p in model.build(shape).parameters())
    assert found.train_peak_bytes > 4 * 4 * found.parameters  # weights, gradients and AdamW's two moments in float32
