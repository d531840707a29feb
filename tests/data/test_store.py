"""A damaged store is refused by name; it never reads as other data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from weatherml.data.loader import DataConfig
from weatherml.data.reader import WindowReader
from weatherml.data.store import MARKER, open_dataset
from weatherml.errors import BadDataError, MissingInputError


@pytest.fixture
def damaged(small_dataset: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(small_dataset, tmp_path / "d.zarr"))


@pytest.mark.parametrize("left", [None, 0, 1, 387, 388, 500, -1])
def test_a_broken_shard_is_named_by_variable_and_time(damaged: Path, left: int | None) -> None:
    """Deleted, emptied, or cut short of, at and after the length of the shard's index, 24 * 16 + 4 bytes."""
    shard = damaged / "u10" / "c" / "1" / "0" / "0"
    content = shard.read_bytes()
    shard.unlink()
    if left is not None:
        shard.write_bytes(content[:left])
    dataset = open_dataset(damaged)
    with pytest.raises(BadDataError, match=r"u10 at 2024-06-02T00:00:00Z: .*make it again"):
        dataset.read(slice(20, 60), "u10")
    assert len(dataset.read(slice(0, 24), "u10")) == 24  # the other shards are sound
    assert len(dataset.read(slice(24, 48), "t2m")) == 24


def test_a_flipped_bit_is_named_by_its_time(damaged: Path) -> None:
    shard = damaged / "v10" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(BadDataError) as refused:
        open_dataset(damaged).read(slice(0, 72), "v10")
    time = np.datetime64(str(refused.value).split("Z:")[0].removeprefix("v10 at "))
    broken = int((time - np.datetime64("2024-06-01T00")) / np.timedelta64(1, "h"))
    assert 8 < broken < 16  # in the middle of the shard's 24
    assert len(open_dataset(damaged).read(broken - 1, "v10")) == 1


@pytest.mark.parametrize("name", ["time", "y", "statistics/std"])
def test_a_lost_coordinate_is_not_filled_with_zeros(damaged: Path, name: str) -> None:
    shutil.rmtree(damaged / name / "c")
    with pytest.raises(BadDataError, match=f"{name}/c/0: missing or empty"):
        open_dataset(damaged)


def test_edited_metadata_are_refused_by_file(damaged: Path) -> None:
    for file in sorted(damaged.rglob("*.json")):
        sound = file.read_text()
        file.write_text(sound.replace("e", "f", 1) if file.name == MARKER else sound + " ")
        with pytest.raises(BadDataError, match=r"schema|damaged|changed" if file.name == MARKER else str(file)):
            open_dataset(damaged)
        file.write_text(sound)
    assert open_dataset(damaged).names[0] == "t2m"


@pytest.mark.parametrize("marker", ["", "[]", "{}", '{"kind": "dataset", "schema": 1, "metadata": []}', "\x00"])
def test_a_damaged_marker(damaged: Path, marker: str) -> None:
    (damaged / MARKER).write_text(marker)
    with pytest.raises(BadDataError, match=MARKER):
        open_dataset(damaged)


def test_absent_and_unfinished(tmp_path: Path, damaged: Path) -> None:
    with pytest.raises(MissingInputError, match="no such dataset; make one with `wml prepare`"):
        open_dataset(tmp_path / "nothing.zarr")
    (damaged / MARKER).unlink()
    with pytest.raises(BadDataError, match="not a finished dataset"):
        open_dataset(damaged)


def test_channels_bind_by_name(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    two = dataset.select(["refc", "t2m"])
    assert two.names == ["refc", "t2m"]
    assert two.statistics.mean.tolist() == dataset.statistics.mean[[3, 0]].tolist()
    assert np.array_equal(two.read(3, "refc"), dataset.read(slice(3, 4), "refc"))
    with pytest.raises(BadDataError, match="has no variable 'refcc'; did you mean 'refc'"):
        dataset.select(["refcc"])


def test_read_takes_any_integer(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    assert np.array_equal(dataset.read(np.int64(7), "t2m"), dataset.read(7, "t2m"))


def test_static_fields_are_those_of_the_file(small_netcdf: Path, small_dataset: Path) -> None:
    with xr.open_dataset(small_netcdf) as truth:
        static = open_dataset(small_dataset).static
        assert list(static) == ["orography"]
        assert np.array_equal(static["orography"], truth.orography.values)


def test_cached_and_uncached_windows_are_equal(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset).select(["v10", "tracer"])
    readers = [WindowReader(dataset, cache_bytes=size) for size in (0, int(DataConfig().cache_gib * 2**30))]
    box = slice(3, 11), slice(2, 20)
    for first in (0, 22, 69):
        one, other = (reader.window(first, 3, box) for reader in readers)
        assert one.shape == (3, 2, 8, 18)
        assert np.array_equal(one, other)
