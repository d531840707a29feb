"""A run in one file: nothing is lost on the way, and no damaged or hostile file is taken for a run."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.data.sequences.toy import Toy
from weatherml.config import parse
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.store import open_dataset
from weatherml.data.stores import open_data
from weatherml.errors import BadDataError, MissingInputError, OutputError, UsageError
from weatherml.models.base import GenerativeModel
from weatherml.run import checkpoint
from weatherml.run.bundle import KEY, MOST_HEADER_BYTES, Bundle, checksum, read_bundle, write_bundle
from weatherml.run.calibration import Calibration
from weatherml.run.directory import Run, create_run, open_run
from weatherml.run.experiment import Experiment
from weatherml.run.exported import bundle_of, dataset_of, export_bundle
from weatherml.run.inspection import inspect

UNET: dict[str, Any] = {"kind": "unet-residual", "base_features": 8, "depth": 1, "blocks": 1}
CRPS = UNET | {"kind": "crps"}
Forge = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


def saved_run(path: Path, dataset: Path, model: dict[str, Any], loss: str = "l1", **settings: Any) -> Run:
    """A run with random weights at step 3."""
    run = create_run(path, parse(Experiment, {"model": model, "loss": loss, **settings}), open_data(dataset))
    weights = {name: 0.1 * torch.randn_like(each.float()) for name, each in run.build_model().state_dict().items()}
    saved = checkpoint.Checkpoint(step=3, weights=weights, average=weights, optimizer=None, progress={})
    checkpoint.save(run.checkpoints, saved)
    return run


@pytest.fixture(scope="module")
def run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return saved_run(tmp_path_factory.mktemp("runs") / "small", small_dataset, UNET)


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_bundle(run.path, tmp_path_factory.mktemp("exports") / "small.safetensors")


def test_a_bundle_is_the_run(run: Run, bundle: Path) -> None:
    opened = open_run(bundle)
    assert opened.experiment == run.experiment
    assert opened.lineage.settings() == run.lineage.settings()
    assert opened.status() == run.status()
    assert opened.calibration() is None
    assert opened.best().step == 3
    theirs = opened.load_model().state_dict()
    for name, weight in run.load_model().state_dict().items():
        assert torch.equal(theirs[name], weight)


def test_a_stranger_reads_it_without_us(run: Run, bundle: Path, small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    with safe_open(bundle, framework="np") as file:
        document = json.loads(file.metadata()["weatherml"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert [each["name"] for each in document["data"]["variables"]] == dataset.names
    assert document["data"]["static"] == ["orography"]
    assert document["grid"]["mapping"] == dataset.grid.mapping
    assert document["configuration"]["model"]["base_features"] == 8
    np.testing.assert_array_equal(tensors["statistics/mean"], dataset.statistics.mean)
    np.testing.assert_array_equal(tensors["grid/x"], dataset.grid.x)
    assert tensors["static"].shape == (1, *dataset.grid.shape)
    assert tensors["static"].std() == pytest.approx(1, abs=1e-6)  # as the model reads it: a z-score
    assert sum(name.startswith("weights/") for name in tensors) == len(run.best().average)


def test_the_same_run_gives_the_same_bytes(run: Run, bundle: Path, tmp_path: Path) -> None:
    again = export_bundle(run.path, tmp_path / "again.safetensors")
    assert again.read_bytes() == bundle.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.safetensors"]


def test_the_calibration_goes_with_it(small_dataset: Path, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "crps", small_dataset, CRPS, loss="crps")
    temperature, gains = (1.25, 1.1, 1.0, 0.9, 0.8), gains_of(run)
    fit = Calibration(temperature=temperature, gains=gains, sampler=None, before={"t2m": 0.8}, after={"t2m": 1.0})
    fit.save(run.path)
    opened = open_run(export_bundle(run.path, tmp_path / "crps.safetensors"))
    assert opened.calibration() == fit
    model = opened.load_model()
    assert isinstance(model, GenerativeModel)
    assert model.equalizer is not None
    assert model.temperature.flatten().tolist() == pytest.approx(fit.temperature)
    assert model.equalizer.gains.flatten().tolist() == pytest.approx(gains)


def test_a_calibration_of_another_model_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "crps", small_dataset, CRPS, loss="crps")
    gains = gains_of(run)
    for temperature, wrong in (((1.0,) * 4, gains), ((1.0,) * 5, gains[1:])):
        Calibration(temperature=temperature, gains=wrong, sampler=None, before={}, after={}).save(run.path)
        with pytest.raises(BadDataError, match=r"\d+ (temperatures|gains) for \d+; the same `wml train` fits it again"):
            run.load_model()


def gains_of(run: Run) -> tuple[float, ...]:
    """Of the right number."""
    model = run.load_model()
    assert isinstance(model, GenerativeModel)
    assert model.equalizer is not None
    return tuple(torch.linspace(0.6, 1.4, model.equalizer.gains.numel()).tolist())


def test_a_model_without_weights(small_dataset: Path, tmp_path: Path) -> None:
    settings = {"model": {"kind": "persistence"}, "loss": "l1"}
    create_run(tmp_path / "run", parse(Experiment, settings), open_dataset(small_dataset))
    opened = open_run(export_bundle(tmp_path / "run", tmp_path / "run.safetensors"))
    assert opened.load_model().state_dict() == {}


def test_a_run_on_sequences(tmp_path: Path) -> None:
    data = prepare_sequences(Toy(), [], tmp_path / "toy.zarr").path
    run = saved_run(tmp_path / "toy", data, {"kind": "simple-cnn", "base_features": 8}, loss="mse")
    opened = open_run(export_bundle(run.path, tmp_path / "toy.safetensors"))
    assert opened.lineage.settings() == run.lineage.settings()
    assert opened.matched(open_data(data)).path == data
    assert "static" not in read_bundle(opened.path).tensors


def test_without_its_dataset_it_goes_without_coordinates(
    run: Run, small_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = replace(run, lineage=replace(run.lineage, dataset=str(tmp_path / "gone.zarr")))
    assert dataset_of(gone, None) is None
    assert "--data names another" in caplog.text
    bare = bundle_of(gone, None)
    assert bare.document["grid"] is None
    assert {name.split("/")[0] for name in bare.tensors} == {"statistics", "weights"}
    found = dataset_of(gone, small_dataset)
    assert found is not None
    assert found.path == small_dataset
    with pytest.raises(MissingInputError, match=r"none\.zarr"):
        dataset_of(gone, tmp_path / "none.zarr")
    with pytest.raises(BadDataError, match="the run was trained on elsewhere; use its data"):
        dataset_of(replace(run, lineage=replace(run.lineage, grid="elsewhere")), small_dataset)


def test_what_cannot_be_exported_is_refused(run: Run, bundle: Path, small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"give --output NAME\.safetensors"):
        export_bundle(run.path, tmp_path / "run.bin")
    with pytest.raises(UsageError, match="a bundle already"):
        export_bundle(bundle, tmp_path / "again.safetensors")
    with pytest.raises(OutputError, match="exists"):
        export_bundle(run.path, bundle)
    create_run(tmp_path / "fresh", run.experiment, open_dataset(small_dataset))
    with pytest.raises(MissingInputError, match="no checkpoint yet"):
        export_bundle(tmp_path / "fresh", tmp_path / "fresh.safetensors")
    assert not (tmp_path / "fresh.safetensors").exists()


def test_inspect_tells_of_a_bundle(run: Run, bundle: Path) -> None:
    ours, theirs = inspect(bundle), inspect(run.path)
    assert (ours.pop("is"), theirs.pop("is")) == ("bundle", "run")
    assert theirs["checkpoints"] == ["step-3"]
    for name in ("model", "parameters", "variables", "grid", "step", "configuration"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9, 0.9999])
def test_every_flipped_bit_is_found(bundle: Path, tmp_path: Path, place: float) -> None:
    """From the length of the header, through the document, to the last of the weights."""
    content = bytearray(bundle.read_bytes())
    content[int(place * len(content))] ^= 0b100
    (tmp_path / "flipped.safetensors").write_bytes(content)
    with pytest.raises(BadDataError, match="flipped"):
        open_run(tmp_path / "flipped.safetensors")


def test_a_flipped_bit_of_the_weights_is_told(bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(content)
    with pytest.raises(BadDataError, match="its checksum does not match"):
        open_run(tmp_path / "flipped.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x80\x02c", struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 1) + b"["]
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.safetensors").write_bytes(content)
    with pytest.raises(BadDataError, match=r"run\.safetensors: not a bundle"):
        open_run(tmp_path / "run.safetensors")


def test_truncated(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "half.safetensors").write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(BadDataError, match="not a bundle"):
        open_run(tmp_path / "half.safetensors")


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MOST_HEADER_BYTES + 1))
        file.truncate(MOST_HEADER_BYTES + 100)  # a hole in the disk
    with pytest.raises(BadDataError, match="a header of 16777217 bytes, at most 16777216"):
        open_run(path)


def nested(document: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    document["configuration"]["model"]["blocks"] = "many"


HOSTILE: dict[str, tuple[Forge, str]] = {
    "weight gone": (lambda d, t: t.pop("weights/network.stem.bias"), r"weight network\.stem\.bias is absent"),
    "weight more": (lambda d, t: t.update({"weights/extra": torch.zeros(2)}), r"weight extra is \(2,\), .* none"),
    "weight bent": (lambda d, t: t.update({"weights/network.stem.bias": torch.zeros(3)}), r"is \(3,\)"),
    "statistics gone": (lambda d, t: t.pop("statistics/std"), "KeyError: 'std'"),
    "statistics short": (lambda d, t: t.update({"statistics/std": torch.ones(1)}), r"shape \(1,\) for 5 variables"),
    "a stranger's tensor": (lambda d, t: t.update(payload=torch.zeros(1)), "unknown tensor payload"),
    "newer": (lambda d, t: d.update(schema=99), "written by a newer weatherml"),
    "no version": (lambda d, t: d.pop("schema"), "names no schema version"),
    "no configuration": (lambda d, t: d.pop("configuration"), "KeyError: 'configuration'"),
    "a wrong key": (nested, r"model\.blocks"),
    "a giant": (lambda d, t: d["configuration"]["model"].update(base_features=10**7), r"the model has \(10000000"),
    "no data": (lambda d, t: d.update(data=[]), "TypeError"),
    "no status": (lambda d, t: d.update(status={}), "lacks the state or step"),
    "no calibration": (lambda d, t: d.update(calibration={"temperature": [1.0]}), "no calibration"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_bundle_is_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    """Who forges the content forges the checksum with it."""
    forge, words = HOSTILE[name]
    with safe_open(bundle, framework="pt") as file:
        document = json.loads(file.metadata()[KEY])
        tensors = {each: file.get_tensor(each) for each in file.keys()}  # noqa: SIM118
    del document["sha256"]
    forge(document, tensors)
    document["sha256"] = checksum(document, tensors)
    path = tmp_path / "forged.safetensors"
    save_file(tensors, path, metadata={KEY: json.dumps(document)})
    with pytest.raises(BadDataError, match=words) as raised:
        open_run(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_tensors_of_every_kind_come_back(tmp_path: Path) -> None:
    tensors = {
        "weights/half": torch.ones(2, 3, dtype=torch.bfloat16),
        "weights/none": torch.zeros(0),
        "weights/one": torch.tensor(7),
        "weights/turned": torch.arange(6.0).view(2, 3).T,
    }
    write_bundle(tmp_path / "a.safetensors", Bundle(document={"task": "forecast"}, tensors=tensors))
    found = read_bundle(tmp_path / "a.safetensors").weights
    for name, tensor in tensors.items():
        assert found[name.removeprefix("weights/")].dtype == tensor.dtype
        assert torch.equal(found[name.removeprefix("weights/")], tensor)
