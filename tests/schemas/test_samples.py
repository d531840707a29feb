"""What earlier versions wrote is read as it was meant, or refused with what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.schemas.make import HERE, MAKERS, sample
from weatherml.data.integrity import require_sound
from weatherml.data.packing import unpack
from weatherml.data.sequences.store import open_sequences
from weatherml.data.store import MARKER, open_dataset
from weatherml.errors import BadDataError
from weatherml.forecast.forcing import open_forecasts
from weatherml.run.calibration import Calibration
from weatherml.run.directory import open_run
from weatherml.schema import Schema

V1 = HERE / "v1"
STORES = {"dataset": open_dataset, "sequences": open_sequences, "forecast": open_forecasts}


@pytest.mark.parametrize("name", MAKERS)
def test_the_current_version_has_a_sample(name: str) -> None:
    assert sample(name).is_dir(), "run `python -m tests.schemas.make` and keep what it writes"


@pytest.mark.parametrize("path", sorted(HERE.glob("v*/*.zarr")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_samples_are_whole(path: Path) -> None:
    STORES[path.stem](path)
    require_sound(path)


def test_dataset_1() -> None:
    dataset = open_dataset(V1 / "dataset.zarr")
    assert dataset.names == ["t2m", "refc"]
    assert dataset.times[[0, -1]].astype(str).tolist() == ["2024-06-01T00:00:00", "2024-06-02T05:00:00"]
    assert dataset.splits["train"][1] == np.datetime64("2024-06-01T17:00:00")
    t2m, refc = (
        unpack(dataset.read(29, name)[0], packing)
        for name, packing in zip(dataset.names, dataset.packings, strict=True)
    )
    assert t2m[0].tolist() == [291.8125, 295.671875, 298.640625, 298.828125]  # 256 + [2292, 2539, 2729, 2741] / 64
    assert refc[2].tolist() == [-10, -10, -7.0625, -10]  # [-640, -640, -452, -640] / 64
    np.testing.assert_allclose(dataset.statistics.mean, [293.48464627, -8.35112847], rtol=1e-9)
    np.testing.assert_allclose(dataset.statistics.std, [3.82716325, 6.29659711], rtol=1e-8)
    assert dataset.static["land_binary_mask"].mean() == 0.75


def test_sequences_1() -> None:
    found = open_sequences(V1 / "sequences.zarr")
    assert (found.task, found.length, found.lead, found.series) == ("emulate", 3, 0, ("a", "b", "c", "d"))
    first, target = found.values["first"][0, :, 0, 0], found.values["target"][0, 5, 0, 0]
    np.testing.assert_allclose(first[4:6], [-0.544259, -0.12853466], rtol=1e-6)
    np.testing.assert_allclose(target, 280 + 5 * (-0.544259 - 0.12853466) / 2, rtol=1e-6)
    np.testing.assert_allclose(found.statistics.mean, [-0.0380505227, 0.0296591352, 279.791018], rtol=1e-8)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_run_1_and_2(version: str) -> None:
    run = open_run(HERE / version / "run")
    assert (run.experiment.model.kind, run.experiment.model.settings()["base_features"]) == ("simple-cnn", 2)
    assert run.forecast_lineage.names == ["t2m", "refc"]
    np.testing.assert_allclose(run.lineage.statistics.mean, [293.48464627, -8.35112847], rtol=1e-9)
    saved = run.latest()
    assert saved is not None
    assert saved.optimizer is not None
    assert (saved.step, saved.progress["best"]) == (2, pytest.approx(1.23389157))
    weights = [weight.double() for weight in run.load_model().state_dict().values()]
    assert sum(weight.numel() for weight in weights) == 290
    assert sum(float(weight.sum()) for weight in weights) == pytest.approx(4.901619963625649, abs=1e-9)


def test_run_3() -> None:
    run = open_run(HERE / "v3" / "run")
    assert (run.experiment.model.kind, run.experiment.model.settings()["base_features"]) == ("edm", 2)
    assert run.forecast_lineage.names == ["t2m", "refc"]
    status, fit, saved = run.status(), run.calibration(), run.latest()
    assert (status["state"], status["step"], status["reference"]) == ("finished", 2, "persistence")
    assert status["skill"] == pytest.approx(10.4004488)
    assert fit is not None
    assert (fit.temperature, fit.sampler) == ((1.0, 1.0), {"kind": "heun", "steps": 2})
    assert fit.before == pytest.approx({"t2m": 1.59659469, "refc": 0.815793812})
    assert saved is not None
    assert (saved.step, saved.progress["best"]) == (2, pytest.approx(32.5077941))
    weights = [weight.double() for weight in run.load_model().state_dict().values()]
    assert sum(weight.numel() for weight in weights) == 1404
    assert sum(float(weight.sum()) for weight in weights) == pytest.approx(49.87520071967447, abs=1e-9)


def test_forecast_1() -> None:
    found = open_forecasts(V1 / "forecast.zarr")
    assert found.init_times.astype(str).tolist() == ["2024-06-02T01:00:00", "2024-06-02T05:00:00"]
    assert found.leads.astype(int).tolist() == [3600, 7200, 10800]
    assert found.units == {"refc": "dBZ", "t2m": "K"}
    with xr.open_zarr(str(found.path)) as forecast:
        assert forecast["t2m"].values[1, 2, 0].tolist() == [291.8125, 295.671875, 298.625, 298.828125]
        assert forecast["refc"].values[1, 2, 3].tolist() == [-9.984375, -10, -2.984375, -9.984375]


REFUSED: dict[str, tuple[Any, str]] = {
    "newer": (99, r"written by a newer weatherml \(schema 99, this one reads 1\); upgrade"),
    "older": (0, r"of schema 0, this version reads 1; \w+ it again"),
    "missing": (None, r"names no schema version \(got None\); \w+ it again"),
    "words": ("1", r"names no schema version \(got '1'\); \w+ it again"),
    "yes": (True, r"names no schema version \(got True\)"),
}


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("kind", STORES)
def test_stores_of_other_versions_are_refused(tmp_path: Path, kind: str, fault: str) -> None:
    version, message = REFUSED[fault]
    path = copied(V1 / f"{kind}.zarr", tmp_path)
    marker = json.loads((path / MARKER).read_text()) | {"schema": version}
    (path / MARKER).write_text(json.dumps(marker, indent=1, sort_keys=True) + "\n")
    with pytest.raises(BadDataError, match=message):
        STORES[kind](path)


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize(
    ("file", "reads"),
    [
        ("data.json", "1 to 3"),
        ("checkpoints/step-2/complete.json", "1 to 2"),
        ("status.json", "1 to 2"),
        ("calibration.json", "1 to 3"),
    ],
)
def test_runs_of_other_versions_are_refused(tmp_path: Path, file: str, reads: str, fault: str) -> None:
    version, message = REFUSED[fault]
    path = copied(sample("run"), tmp_path)
    description = json.loads((path / file).read_text()) | {"schema": version}
    (path / file).write_text(json.dumps(description))
    with pytest.raises(BadDataError, match=message.partition(";")[0].replace("reads 1", f"reads {reads}")):
        read_all(path)


@pytest.mark.parametrize("trials", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_flipped_bit_of_a_run_is_found_and_named(tmp_path: Path, trials: int) -> None:
    path = copied(sample("run"), tmp_path)
    own = ("config.yaml", "data.json", "status.json", "calibration.json")
    files = [*(path / name for name in own), *sorted((path / "checkpoints" / "step-2").iterdir())]
    rng = np.random.default_rng(0)
    for trial in range(trials):
        file = files[trial % len(files)]
        sound = file.read_bytes()
        spoiled = bytearray(sound)
        spoiled[rng.integers(len(sound))] ^= 1 << rng.integers(8)
        file.write_bytes(bytes(spoiled))
        with pytest.raises(BadDataError) as error:
            read_all(path)
        assert str(file.parent) in str(error.value)
        file.write_bytes(sound)
    assert open_run(path).latest() is not None


def test_migrations_are_applied_one_after_another(tmp_path: Path) -> None:
    schema = Schema(
        current=4,
        again="make it again",
        migrations={2: lambda old: old | {"b": old["a"] + 1}, 3: lambda old: {"c": old["b"] * 10}},
    )
    assert (schema.oldest, schema.readable) == (2, "2 to 4")
    assert schema.upgraded({"schema": 2, "a": 1}, tmp_path) == {"schema": 4, "c": 20}  # (1 + 1) * 10
    assert schema.upgraded({"schema": 4, "c": 5}, tmp_path) == {"schema": 4, "c": 5}
    with pytest.raises(BadDataError, match="of schema 1, this version reads 2 to 4; make it again"):
        schema.upgraded({"schema": 1}, tmp_path)


def read_all(path: Path) -> None:
    """Whatever a forecast with a run depends on."""
    run = open_run(path)
    run.latest()
    run.status()
    Calibration.load(path)
    run.calibration()


def copied(path: Path, folder: Path) -> Path:
    return Path(shutil.copytree(path, folder / path.name))
