"""Runs on sequences predict what their models say, in physical units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.sequences.toy import Toy, ToyEvent, ToyMask
from weatherml.data.sequences.predictions import open_predictions
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import BadDataError, OutputError, UsageError
from weatherml.forecast.predict import predict
from weatherml.run.experiment import resolve
from weatherml.train.trainer import train

SMALL = ["model.base_features=8", "train.warmup=5", "train.lr=0.005", "train.validation.every=60"]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that has learnt the toy's law, and its data."""
    folder = tmp_path_factory.mktemp("emulator")
    prepare_sequences(Toy(), [], folder / "toy.zarr")
    experiment = resolve(None, model="simple-cnn", assignments=[*SMALL, "loss.kind=mse", "train.steps=60"])
    train(experiment, folder / "toy.zarr", folder / "run", device="cpu")
    return folder / "run", folder / "toy.zarr"


def test_an_emulator_speaks_in_physical_units_of_the_held_out_parts(
    emulator: tuple[Path, Path], tmp_path: Path
) -> None:
    run, data = emulator
    found = open_predictions(predict(run, data, output=tmp_path / "p.nc", device="cpu"))
    truth, part = Toy().build([]).values["target"], Toy().build([]).part
    assert np.isnan(found.values["target"][part < 1]).all()
    error = (found.values["target"] - truth)[part > 0]
    assert np.sqrt(np.mean(error**2)) < 0.5 * truth.std()  # untrained it is above 1
    assert found.attributes["model"] == "simple-cnn"


def test_one_part_is_predicted_alone(emulator: tuple[Path, Path], tmp_path: Path) -> None:
    found = open_predictions(predict(*emulator, parts=["train"], output=tmp_path / "p.nc", device="cpu"))
    known = np.isfinite(found.values["target"]).all(axis=(2, 3))
    np.testing.assert_array_equal(known, Toy().build([]).part == 0)


@pytest.mark.parametrize(
    ("toy", "model"),
    [
        (ToyMask(base_rate=0.2), ["model.kind=convlstm-segmenter", "model.hidden=[4]", "model.kernels=[3]"]),
        (ToyEvent(size=1, base_rate=0.3), ["model.kind=cnn-convlstm"]),
    ],
)
def test_classifiers_and_segmenters_speak_in_probabilities(toy: Toy, model: list[str], tmp_path: Path) -> None:
    prepare_sequences(toy, [], tmp_path / "toy.zarr")
    kind = model[0].removeprefix("model.kind=")
    experiment = resolve(None, model=kind, assignments=[*model[1:], "train.steps=2", "train.warmup=1"])
    train(experiment, tmp_path / "toy.zarr", tmp_path / "run", device="cpu")
    found = open_predictions(predict(tmp_path / "run", tmp_path / "toy.zarr", output=tmp_path / "p.nc", device="cpu"))
    known = found.values["target"][np.isfinite(found.values["target"])]
    assert known.min() > 0
    assert known.max() < 1
    if kind == "cnn-convlstm":
        assert found.attention is not None
        np.testing.assert_allclose(found.attention.sum(axis=1), 1, rtol=1e-5)  # what each step reads, in shares


def test_what_does_not_fit_is_refused(emulator: tuple[Path, Path], small_dataset: Path, tmp_path: Path) -> None:
    run, data = emulator
    with pytest.raises(UsageError, match="one NetCDF file"):
        predict(run, data, output=tmp_path / "p.zarr")
    with pytest.raises(BadDataError, match=r"for forecast, the run at .* for emulate; use its data"):
        predict(run, small_dataset, output=tmp_path / "p.nc")
    longer = prepare_sequences(Toy(length=4), [], tmp_path / "longer.zarr")
    with pytest.raises(BadDataError, match="length is 4, the run was trained on 3"):
        predict(run, longer.path, output=tmp_path / "p.nc")
    (tmp_path / "p.nc").touch()
    with pytest.raises(OutputError, match="exists"):
        predict(run, data, output=tmp_path / "p.nc")
