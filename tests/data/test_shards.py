"""Shards put together by hand are what zarr writes, and both readers read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from weatherml.data.chunks import WHOLE, PackedArray
from weatherml.data.layout import add_variable
from weatherml.data.packing import FILL, Packing
from weatherml.data.shards import Encoded, write_shard
from weatherml.grid import Grid
from weatherml.variables import TABLE

RNG = np.random.default_rng(4)
PACKING = Packing(scale_factor=1 / 64, add_offset=256.0)


def fields(times: int) -> np.ndarray:
    packed = RNG.integers(-40, 40, (times, 50, 33)).cumsum(-1).astype(np.int16)
    packed[0, :20] = FILL
    return packed


@pytest.fixture(params=[None, 16])
def array(request: pytest.FixtureRequest, tmp_path: Path) -> zarr.Array:
    """Five times in shards of three, in one chunk or in tiles that reach over the edge."""
    group = zarr.open_group(str(tmp_path / "store"), mode="w", zarr_format=3)
    grid = Grid(kind="index", y=np.arange(50.0), x=np.arange(33.0))
    return add_variable(group, TABLE["t2m"], PACKING, grid, times=5, shard=3, tile=request.param)


def test_both_readers_read_it(array: zarr.Array, tmp_path: Path) -> None:
    packed, folder = fields(5), tmp_path / "store" / "t2m" / "c"
    tile = None if array.chunks[1] == 50 else array.chunks[1]
    encoded = [Encoded.of(field, tile) for field in packed]
    write_shard(folder / "0" / "0" / "0", encoded[:3], 3)
    write_shard(folder / "1" / "0" / "0", encoded[3:], 3)  # two of three
    np.testing.assert_array_equal(array[...], packed)
    direct, out = PackedArray(tmp_path / "store", array), np.empty((50, 33), np.int16)
    for time, field in enumerate(packed):
        direct.read(time, WHOLE, out)
        np.testing.assert_array_equal(out, field)
        np.testing.assert_array_equal(encoded[time].decoded(), field)


def test_chunks_are_those_of_zarr(array: zarr.Array, tmp_path: Path) -> None:
    """The same codecs: each chunk's bytes stand in the shard that zarr writes."""
    packed = fields(3)
    array[:3] = packed
    shard = (tmp_path / "store" / "t2m" / "c" / "0" / "0" / "0").read_bytes()
    tile = None if array.chunks[1] == 50 else array.chunks[1]
    chunks = [chunk for field in packed for chunk in Encoded.of(field, tile).chunks]
    blank = Encoded.of(np.full_like(packed[0], FILL), tile).chunks  # zarr leaves these out
    assert all(chunk in shard for chunk in chunks if chunk not in blank)


def test_levels_are_a_histogram() -> None:
    encoded = Encoded.of(np.array([[3, -1, 3], [FILL, 3, -1]], np.int16), None)
    found = dict(zip(encoded.levels.view(np.int16).tolist(), encoded.counts.tolist(), strict=True))
    assert found == {3: 3, -1: 2, int(FILL): 1}
