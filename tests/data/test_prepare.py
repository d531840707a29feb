"""From a file to a dataset: physical values, metadata, statistics, quality, refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.data.preparing import Killed, killing, run, tree
from weatherml.config import parse_member
from weatherml.data import writer as writing
from weatherml.data.prepare import prepare
from weatherml.data.statistics import STATISTICS
from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, ConfigError, OutputError, StoppedError
from weatherml.files import output_lock
from weatherml.sources import SOURCES

Change = Callable[[dict[str, np.ndarray]], object]
NAMES = ["t2m", "u10", "v10", "refc", "tracer"]


def test_plain_xarray_reads_physical_values(small_netcdf: Path, small_dataset: Path) -> None:
    with xr.open_dataset(small_netcdf) as truth, xr.open_zarr(small_dataset) as store:
        assert (store.time.values == truth.time.values).all()
        assert store.sizes == {"time": 72, "y": 24, "x": 20}
        for name in NAMES:
            step = store[name].encoding["scale_factor"]
            assert float(np.abs(store[name] - truth[name]).max()) <= step / 2
            assert store[name].dims == ("time", "y", "x")
            assert store[name].attrs["units"] == truth[name].attrs["units"]
        assert store.attrs["Conventions"].startswith("CF-")
        assert store.t2m.attrs["grid_mapping"] == "projection"
        assert store.projection.attrs["grid_mapping_name"] == "lambert_conformal_conic"
        assert store.time.attrs["standard_name"] == "time"
        assert set(store.t2m.coords) == {"time", "y", "x", "latitude", "longitude"}
        assert np.allclose(store.orography, truth.orography)


def test_every_chunk_ends_in_its_checksum(small_dataset: Path) -> None:
    for file in small_dataset.rglob("zarr.json"):
        metadata = json.loads(file.read_text())
        if metadata["node_type"] != "array":
            continue
        codecs = metadata["codecs"]
        inner = codecs[0]["configuration"]["codecs"] if codecs[0]["name"] == "sharding_indexed" else codecs
        assert [codec["name"] for codec in inner] == ["bytes", "blosc", "crc32c"], file
    shards = zarr.open_array(str(small_dataset / "t2m"), mode="r")
    assert (shards.chunks, shards.shards, shards.dtype) == ((1, 24, 20), (24, 24, 20), np.int16)


def test_statistics_are_of_the_training_split_alone(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    train = dataset.part("train")
    assert len(train) == 72 - 11 - 11 - 2 * 4  # 15 % twice; a gap of 5 % twice
    with xr.open_zarr(small_dataset) as store:
        for c, name in enumerate(dataset.names):
            values = store[name].values[train].astype(np.float64)
            if name == "refc":
                values = np.maximum(values, -10.0)
            golden = {
                "mean": values.mean(),
                "std": values.std(),
                "min": values.min(),
                "max": values.max(),
                "zero_share": (values == 0).mean(),
                "delta_std": np.diff(values, axis=0).std(),
            }
            for statistic in STATISTICS:
                assert getattr(dataset.statistics, statistic)[c] == pytest.approx(golden[statistic], rel=1e-6, abs=1e-9)


def test_nothing_leaks_from_validation_and_test(tmp_path: Path, write_netcdf: Any, small_dataset: Path) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][42:] += 20  # after the training split's end

    spoiled = run(write_netcdf(tmp_path / "a.nc", change=spoil), tmp_path / "a.zarr")
    assert spoiled.statistics.mean[0] == open_dataset(small_dataset).statistics.mean[0]
    assert spoiled.statistics.delta_std[0] == open_dataset(small_dataset).statistics.delta_std[0]


def test_absent_hours_are_absent_and_listed(tmp_path: Path, write_netcdf: Any) -> None:
    hours = np.delete(np.arange(72), [10, 11, 30])
    dataset = run(write_netcdf(tmp_path / "a.nc", hours=hours), tmp_path / "a.zarr")
    assert len(dataset.times) == 69
    report = json.loads((dataset.path / "quality.json").read_text())
    assert report["missing"] == [f"2024-06-{day:02}T{hour:02}:00:00Z" for day, hour in ((1, 10), (1, 11), (2, 6))]
    # a change over an absent hour is no one-step change
    train = dataset.part("train")
    values = dataset.read(slice(0, len(train)), "t2m") * dataset.packings[0].scale_factor
    steps = np.diff(values, axis=0)[np.diff(dataset.times[train]) == dataset.step]
    assert dataset.statistics.delta_std[0] == pytest.approx(steps.std(), rel=1e-9)


def test_bad_hours_are_left_out_and_bad_points_masked(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][5] = 17.0  # degrees Celsius
        fields["t2m"][7, 3, 4] = 150.0
        fields["u10"][8, :2] = np.nan
        fields["v10"][9] = fields["v10"][8]

    dataset = run(write_netcdf(tmp_path / "a.nc", change=spoil), tmp_path / "a.zarr")
    report = json.loads((dataset.path / "quality.json").read_text())
    assert list(report["quarantined"]) == ["2024-06-01T05:00:00Z"]
    assert "480 of 480 points outside [205, 335] K" in report["quarantined"]["2024-06-01T05:00:00Z"]
    masked, repeated = report["findings"]
    assert (masked["time"], masked["variable"], masked["points"]) == ("2024-06-01T07:00:00Z", "t2m", 1)
    assert repeated == {"time": "2024-06-01T09:00:00Z", "variable": "v10", "finding": "repeated"}
    with xr.open_zarr(dataset.path) as store:
        assert np.datetime64("2024-06-01T05") not in store.time.values
        assert int(store.t2m.isnull().sum()) == 1
        assert int(store.u10.isnull().sum()) == 40


def test_tiles_one_of_them_without_data(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["u10"][:, :8, :8] = np.nan

    path = write_netcdf(tmp_path / "a.nc", hours=5, change=spoil)
    dataset = run(path, tmp_path / "a.zarr", tile=8, split={"validation": 0, "test": 0})
    with xr.open_dataset(path) as truth, xr.open_zarr(dataset.path) as store:
        assert (store.u10.isnull() == truth.u10.isnull()).all()
        assert float(np.abs(store.u10 - truth.u10).max()) <= 1 / 128
    assert (dataset.read(2, "u10")[0, :8, :8] == -32768).all()


def test_an_undeclared_fill_value_sets_no_range(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["tracer"][:, 0, 0] = 9.96921e36

    path = write_netcdf(tmp_path / "a.nc", hours=12, change=spoil)
    with xr.open_zarr(run(path, tmp_path / "a.zarr").path) as store:
        assert store.tracer.encoding["scale_factor"] < 1e-7
        assert int(store.tracer.isnull().sum()) == 12


@pytest.mark.parametrize("hours", [1, 2, 3, 5])
def test_a_handful_of_times(tmp_path: Path, write_netcdf: Any, hours: int) -> None:
    dataset = run(write_netcdf(tmp_path / "a.nc", hours=hours), tmp_path / "a.zarr")
    assert len(dataset.times) == hours
    assert np.isfinite(dataset.statistics.mean).all()


def test_no_usable_training_time(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][:60] = 0

    with pytest.raises(BadDataError, match=r"training split .* no usable time; t2m: 480 of 480 points outside"):
        run(write_netcdf(tmp_path / "a.nc", change=spoil), tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


def test_a_variable_without_any_value(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["tracer"][:] = np.nan

    with pytest.raises(BadDataError, match="tracer: no finite value in the input; leave it out of variables"):
        run(write_netcdf(tmp_path / "a.nc", hours=6, change=spoil), tmp_path / "a.zarr")


def test_names_that_the_store_needs_itself(tmp_path: Path, write_netcdf: Any) -> None:
    path = write_netcdf(tmp_path / "a.nc", hours=3)
    with pytest.raises(BadDataError, match=r"statistics: .* rename"):
        run(path, tmp_path / "a.zarr", variables={"statistics": {"source_name": "u10"}})


def test_an_existing_output_is_refused_or_replaced(tmp_path: Path, write_netcdf: Any) -> None:
    path = write_netcdf(tmp_path / "a.nc", hours=6)
    run(path, tmp_path / "a.zarr")
    before = tree(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match=r"a\.zarr: exists; choose another --output, or replace it with --overwrite"):
        run(path, tmp_path / "a.zarr")
    assert tree(tmp_path / "a.zarr") == before
    dataset = run(path, tmp_path / "a.zarr", overwrite=True, variables={"t2m": {}})
    assert dataset.names == ["t2m"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.nc", "a.zarr"]


def test_a_second_writer_is_refused_by_name(tmp_path: Path, write_netcdf: Any) -> None:
    path = write_netcdf(tmp_path / "a.nc", hours=3)
    with (
        output_lock(tmp_path / "a.zarr"),
        pytest.raises(OutputError, match=f"process {os.getpid()} is writing it"),
    ):
        run(path, tmp_path / "a.zarr")
    run(path, tmp_path / "a.zarr")


def test_bad_settings_are_refused_before_anything_is_written(tmp_path: Path, small_netcdf: Path) -> None:
    with pytest.raises(ConfigError, match="split: validation and test leave nothing"):
        run(small_netcdf, tmp_path / "a.zarr", split={"validation": 0.5, "test": 0.5})
    assert list(tmp_path.iterdir()) == []


def test_a_killed_job_goes_on_to_the_same_bytes(
    tmp_path: Path, write_netcdf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][5], fields["t2m"][40, 2, 2] = 0, 0

    path = write_netcdf(tmp_path / "a.nc", hours=60, change=spoil)
    with monkeypatch.context() as patch:
        calls = killing(patch, at=10**9)
        whole = tree(run(path, tmp_path / "whole.zarr", variables={"t2m": {}, "tracer": {}}).path)
    for at in [*range(1, len(calls) - 4, 29), *range(len(calls) - 4, len(calls))]:  # the end is what is done once
        output = tmp_path / f"{at}.zarr"
        for moment in (at, 1):  # killed, and killed again as it goes on
            with monkeypatch.context() as patch:
                killing(patch, at=moment)
                with pytest.raises(Killed):
                    run(path, output, variables={"t2m": {}, "tracer": {}})
            assert not output.exists()
        assert tree(run(path, output, variables={"t2m": {}, "tracer": {}}).path) == whole, calls[at]


def test_going_on_reads_only_what_is_left(tmp_path: Path, write_netcdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, output = write_netcdf(tmp_path / "a.nc"), tmp_path / "a.zarr"
    flush, flushes = writing.StoreWriter.flush, []

    def die_at_the_third(self: writing.StoreWriter) -> None:
        flushes.append(self.consumed)
        if len(flushes) == 3:
            raise Killed
        flush(self)

    monkeypatch.setattr(writing.StoreWriter, "flush", die_at_the_third)
    with pytest.raises(Killed):
        run(path, output)
    run(path, output)
    assert flushes == [24, 48, 72, 72, 72]  # the third day again, and the end


def test_another_request_begins_anew(tmp_path: Path, write_netcdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, output = write_netcdf(tmp_path / "a.nc"), tmp_path / "a.zarr"
    with monkeypatch.context() as patch:
        killing(patch, at=60)
        with pytest.raises(Killed):
            run(path, output)
    run(path, output, tile=10)
    assert tree(output) == tree(run(path, tmp_path / "b.zarr", tile=10).path)


def test_a_signal_stops_between_times_and_the_job_goes_on(
    tmp_path: Path, write_netcdf: Any, small_dataset: Path, small_netcdf: Path
) -> None:
    config = parse_member(SOURCES, "netcdf", at="source")

    def interrupt(done: int, total: int) -> None:
        if done == 30:
            os.kill(os.getpid(), 15)

    with pytest.raises(StoppedError, match="stopped after 30 of 72 times; run the same command") as stopped:
        prepare(config, [str(small_netcdf)], tmp_path / "a.zarr", progress=interrupt)
    assert stopped.value.exit_code == 143
    assert tree(run(small_netcdf, tmp_path / "a.zarr").path) == tree(small_dataset)


def test_sigkill_in_a_real_process(tmp_path: Path, small_netcdf: Path, small_dataset: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from weatherml.config import parse_member; from weatherml.data.prepare import prepare\n"
        "from weatherml.sources import SOURCES\n"
        "def die(done, total): done == 50 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "config = parse_member(SOURCES, 'netcdf', at='source')\n"
        "prepare(config, [sys.argv[1]], Path(sys.argv[2]), progress=die)\n"
    )
    output = tmp_path / "a.zarr"
    killed = subprocess.run([sys.executable, "-c", program, small_netcdf, output], check=False)
    assert killed.returncode == -9
    assert not output.exists()
    assert tree(run(small_netcdf, output).path) == tree(small_dataset)
    assert list(tmp_path.iterdir()) == [output]
