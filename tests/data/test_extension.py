"""A finished dataset to which later times come ends as the one that was prepared at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.data.preparing import Killed, killing, run, tree
from weatherml.config import parse_member
from weatherml.data import extension, layout, manifest, workers
from weatherml.data import prepare as preparing
from weatherml.data.prepare import prepare
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import OutputError
from weatherml.files import partial_path
from weatherml.sources import SOURCES
from weatherml.sources.base import Source
from weatherml.sources.grib import source as grib_source

START = np.datetime64("2024-06-01T00:00:00", "s")
DECLARED = {"t2m": {}, "refc": {}}
"""Variables whose packing is not learned from the data."""
RME_BYTES = 6 * 78 * 41 * 2
"""Of one packed time of the files: variables, rows, columns, bytes."""
ABSENT = (3, 24, 30, 47, 60)


def hour(number: int) -> str:
    return str(START + number * np.timedelta64(1, "h"))


def spoil(fields: dict[str, np.ndarray]) -> None:
    """Positions in `HOURS`: quarantined, masked and repeated hours, about the ends of shards and of datasets."""
    for bad in (5, 22, 26, 27, 48, 50, 51, 52):
        fields["t2m"][bad] = 17.0
    fields["t2m"][[7, 28, 53], 3, 4] = 150.0
    fields["refc"][25] = fields["refc"][24]
    fields["refc"][54] = fields["refc"][53]


@pytest.fixture(scope="module")
def netcdf(tmp_path_factory: pytest.TempPathFactory, write_netcdf: Any) -> Path:
    """100 hours, some of them absent or bad."""
    hours = np.delete(np.arange(100), ABSENT)
    return Path(write_netcdf(tmp_path_factory.mktemp("extended") / "a.nc", hours=hours, change=spoil))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[np.datetime64]:
    """Which times are read from the source."""
    times: list[np.datetime64] = []
    each_time = preparing.each_time

    def noting(source: Any, wanted: Sequence[np.datetime64], *rest: Any, **options: Any) -> Iterator[Any]:
        times.extend(wanted)
        return each_time(source, wanted, *rest, **options)

    monkeypatch.setattr(preparing, "each_time", noting)
    return times


def upto(last: int, path: Path, output: Path, **settings: Any) -> Dataset:
    return run(path, output, end=hour(last), **{"variables": DECLARED} | settings)


def test_bytes_are_those_of_one_prepared_at_once(tmp_path: Path, netcdf: Path, read: list[np.datetime64]) -> None:
    whole = tree(upto(99, netcdf, tmp_path / "whole.zarr").path)
    for ends in ((26, 99), (29, 56, 99), (54, 57, 58, 99)):
        output = tmp_path / f"{ends}.zarr"
        for last in ends:
            read.clear()
            dataset = upto(last, netcdf, output)
        assert read[0] > START + ends[-2] * np.timedelta64(1, "h")
        assert tree(dataset.path) == whole
    assert sorted(each.suffix for each in tmp_path.iterdir()) == [".zarr"] * 4


def test_further_files(tmp_path: Path, write_netcdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write_netcdf(folder / "a.nc", hours=30)
    run(folder, tmp_path / "a.zarr", variables=DECLARED)
    write_netcdf(folder / "b.nc", hours=np.arange(30, 80))
    hashed: list[Path] = []
    sha256 = manifest.sha256
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "sha256", lambda path: hashed.append(path) or sha256(path))
        extended = run(folder, tmp_path / "a.zarr", variables=DECLARED)
    assert [path.name for path in hashed] == ["b.nc"]
    assert tree(extended.path) == tree(run(folder, tmp_path / "whole.zarr", variables=DECLARED).path)


def test_the_synthetic_world(tmp_path: Path) -> None:
    def world(last: int, output: Path) -> Dataset:
        settings = {"kind": "synthetic", "height": 16, "width": 20, "end": hour(last), "tile": 8}
        return prepare(parse_member(SOURCES, settings, at="source"), [], output)

    for last in (40, 80):
        extended = world(last, tmp_path / "a.zarr")
    assert tree(extended.path) == tree(world(80, tmp_path / "whole.zarr").path)


def test_real_grib_over_shards_of_three_hours(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hours(count: int, output: Path) -> Dataset:
        for cycle in range(count):
            name = f"hrrr.t{cycle:02d}z.wrfsfcf01.grib2"
            if cycle != 4 and not (folder / name).exists():
                shutil.copyfile(shared_data / "hrrr_smrf_rme" / "hrrr.20180722" / name, folder / name)
        settings = {"kind": "hrrr", "split": {"gap_hours": 0}}
        return prepare(parse_member(SOURCES, settings, at="source"), [str(folder)], output)

    def read_here(source: Source, times: np.ndarray, then: Any, **options: Any) -> Iterator[Any]:
        """In this process: files this sound crash no decoder, and a cluster takes seconds to start."""
        return workers._here(source, times, then)

    monkeypatch.setattr(preparing, "each_time", read_here)
    monkeypatch.setattr(grib_source, "decode_apart", lambda statics, shape: {})  # nor its terrain
    monkeypatch.setattr(layout, "SHARD_BYTES", 3 * RME_BYTES)
    folder = tmp_path / "files"
    folder.mkdir()
    for count in (5, 9):
        extended = hours(count, tmp_path / "a.zarr")
    whole = hours(9, tmp_path / "whole.zarr")
    assert len(whole.times) == 8
    assert sorted(each.name for each in (whole.path / whole.names[0] / "c").iterdir()) == ["0", "1", "2"]
    assert tree(extended.path) == tree(whole.path)


def test_killed_while_it_is_extended(tmp_path: Path, netcdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = upto(56, netcdf, tmp_path / "old.zarr").path
    before, whole = tree(old), tree(upto(80, netcdf, tmp_path / "whole.zarr").path)
    with monkeypatch.context() as patch:
        calls = killing(patch, at=10**9)
        upto(80, netcdf, Path(shutil.copytree(old, tmp_path / "count.zarr")))
    for at in [*range(0, len(calls) - 2, 23), len(calls) - 2]:
        output = Path(shutil.copytree(old, tmp_path / f"{at}.zarr"))
        with monkeypatch.context() as patch:
            killing(patch, at=at)
            with pytest.raises(Killed):
                upto(80, netcdf, output)
        assert tree(output) == before, calls[at]
        assert tree(upto(80, netcdf, output).path) == whole, calls[at]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_links_shards_are_copied(tmp_path: Path, netcdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError("another disk")

    output = upto(56, netcdf, tmp_path / "a.zarr").path
    inode = (output / "t2m/c/0/0/0").stat().st_ino
    upto(70, netcdf, output)
    assert (output / "t2m/c/0/0/0").stat().st_ino == inode
    monkeypatch.setattr(extension, "os", SimpleNamespace(link=refuse))
    upto(80, netcdf, output)
    assert (output / "t2m/c/0/0/0").stat().st_ino != inode
    assert tree(output) == tree(upto(80, netcdf, tmp_path / "whole.zarr").path)


def test_a_killed_job_goes_on_with_a_later_end(
    tmp_path: Path, netcdf: Path, monkeypatch: pytest.MonkeyPatch, read: list[np.datetime64]
) -> None:
    output = tmp_path / "a.zarr"
    with monkeypatch.context() as patch:  # all is written but the manifest
        patch.setattr(preparing, "manifest", raising(Killed))
        with pytest.raises(Killed):
            upto(56, netcdf, output)
    read.clear()
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "manifest", raising(Killed))
        with pytest.raises(Killed):
            upto(80, netcdf, output)
    assert read[0] == START + 57 * np.timedelta64(1, "h")
    again = upto(70, netcdf, output)  # and with an earlier one, which was consumed already: from the start
    assert tree(again.path) == tree(upto(70, netcdf, tmp_path / "whole.zarr").path)


def raising(error: type[BaseException]) -> Any:
    def function(*arguments: Any) -> None:
        raise error

    return function


def test_less_than_a_day_is_prepared_anew(tmp_path: Path, netcdf: Path, read: list[np.datetime64]) -> None:
    upto(10, netcdf, tmp_path / "a.zarr")
    read.clear()
    assert tree(upto(40, netcdf, tmp_path / "a.zarr").path) == tree(upto(40, netcdf, tmp_path / "b.zarr").path)
    assert read[0] == START


def test_learned_packings_are_kept(tmp_path: Path, netcdf: Path) -> None:
    def tracer(last: int, output: Path) -> Dataset:
        return upto(last, netcdf, output, variables={"tracer": {}, "t2m": {}})

    old = tracer(30, tmp_path / "a.zarr")
    new = tracer(80, tmp_path / "a.zarr")
    assert new.packings == old.packings
    assert len(new.times) == len(tracer(80, tmp_path / "whole.zarr").times)


def test_nothing_new_or_another_configuration_is_refused_as_ever(tmp_path: Path, netcdf: Path) -> None:
    output = upto(40, netcdf, tmp_path / "a.zarr").path
    before = tree(output)
    for last, settings in ((40, {}), (80, {"tile": 8}), (80, {"variables": {"t2m": {}}})):
        with pytest.raises(OutputError, match="exists; choose another --output, or replace it with --overwrite"):
            upto(last, netcdf, output, **settings)
    with pytest.raises(OutputError, match=r"2024-06-02T12:00:00Z: is no longer in the input; replace it"):
        upto(35, netcdf, output)
    (output / "complete.json").write_text("{}")
    with pytest.raises(OutputError, match="exists; choose another"):
        upto(80, netcdf, output)
    (output / "complete.json").write_bytes(before["complete.json"])
    assert tree(output) == before
    assert not partial_path(output).exists()


def test_what_is_not_the_beginning_is_named(tmp_path: Path, write_netcdf: Any) -> None:
    folder, output = tmp_path / "files", tmp_path / "a.zarr"
    folder.mkdir()
    write_netcdf(folder / "a.nc", hours=np.delete(np.arange(30), 12))
    run(folder, output, variables=DECLARED)
    write_netcdf(folder / "b.nc", hours=np.array([12, 30, 31]))
    with pytest.raises(OutputError, match="exists, and cannot be extended; 2024-06-01T12:00:00Z: came later than"):
        run(folder, output, variables=DECLARED)
    write_netcdf(folder / "a.nc", hours=np.delete(np.arange(29), 12))
    size = (folder / "a.nc").stat().st_size
    with pytest.raises(OutputError, match=rf"a\.nc: was read with \d+ bytes, is {size} bytes now; replace it"):
        run(folder, output, variables=DECLARED)
    (folder / "a.nc").unlink()
    with pytest.raises(OutputError, match=r"a\.nc: was read with \d+ bytes, is no input now"):
        run(folder, output, variables=DECLARED)
    assert len(run(folder, output, variables=DECLARED, overwrite=True).times) == 3


def test_an_hour_that_was_incomplete_and_is_whole_now_came_late(tmp_path: Path, write_netcdf: Any) -> None:
    """It was left out by the source, not read and refused; prepared at once it would be there."""
    folder, output = tmp_path / "files", tmp_path / "a.zarr"
    folder.mkdir()
    only = {"refc": {}}
    write_netcdf(folder / "a.nc", hours=30, change=lambda fields: fields.pop("t2m"))
    write_netcdf(folder / "b.nc", hours=np.delete(np.arange(30), 20), change=lambda f: [f.pop(n) for n in list(f)[1:]])
    dataset = run(folder, output, variables=DECLARED)
    report = json.loads((dataset.path / "quality.json").read_text())
    assert list(report["quarantined"]) == ["2024-06-01T20:00:00Z"]
    assert report["unreadable"] == []
    assert only.keys() < DECLARED.keys()
    write_netcdf(folder / "c.nc", hours=np.array([20]), change=lambda f: [f.pop(n) for n in list(f)[1:]])
    with pytest.raises(OutputError, match=r"2024-06-01T20:00:00Z: came later than times after it"):
        run(folder, output, variables=DECLARED)


def test_a_request_is_the_same_from_a_finished_dataset(small_dataset: Path, small_netcdf: Path) -> None:
    dataset = open_dataset(small_dataset)
    config = parse_member(SOURCES, "netcdf", at="source")
    request = extension.Request.of(config, config.open([str(small_netcdf)]).describe())
    assert extension.Request.of_dataset(dataset) == request
