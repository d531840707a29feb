"""The reader of packed arrays: as zarr reads them, no chunk more than needed, and loud where one is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

from weatherml.data import chunks
from weatherml.data.chunks import WHOLE, Box, PackedArray, extent
from weatherml.data.layout import add_array, add_variable
from weatherml.data.packing import FILL, Packing
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.variables import TABLE

SHAPE = (50, 70)
TIMES = 10
BOXES = [WHOLE, (slice(0, 32), slice(32, 64)), (slice(5, 6), slice(69, 70)), (slice(30, 50), slice(10, 40))]


def written(path: Path, tile: int | None) -> zarr.Array:
    """Ten times in shards of four, the last one short; time 6 is missing altogether, and so are points of time 1."""
    grid = Grid(kind="projected", y=np.arange(float(SHAPE[0])), x=np.arange(float(SHAPE[1])))
    packing = Packing(scale_factor=1.0, add_offset=0.0)
    group = zarr.create_group(path)
    array = add_variable(group, TABLE["t2m"], packing, grid, times=TIMES, shard=4, tile=tile)
    values = np.random.default_rng(0).integers(-32768, 32768, (TIMES, *SHAPE)).astype(np.int16)
    values[6], values[1, 3] = FILL, FILL
    array[...] = values
    return array


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all reads of files."""
    seen: list[int] = []

    def pread(file: int, length: int, offset: int) -> bytes:
        seen.append(length)
        return original(file, length, offset)

    original = chunks.os.pread
    monkeypatch.setattr(chunks.os, "pread", pread)
    return seen


def read(array: PackedArray, time: int, box: Box = WHOLE) -> np.ndarray:
    out = np.empty(extent(box, SHAPE), np.int16)
    array.read(time, box, out)
    return out


@pytest.mark.parametrize("tile", [None, 16, 32, 7])
@pytest.mark.parametrize("box", BOXES)
def test_it_reads_what_zarr_reads(tmp_path: Path, tile: int | None, box: Box) -> None:
    array = written(tmp_path / "a.zarr", tile)
    packed = PackedArray(tmp_path / "a.zarr", array)
    for time in range(TIMES):
        assert np.array_equal(read(packed, time, box), array[time][box])


@pytest.mark.parametrize(
    ("tile", "box", "expected"),
    [
        (None, WHOLE, 1),
        (32, WHOLE, 6),  # 2 x 3 tiles
        (32, (slice(0, 32), slice(32, 64)), 1),
        (32, (slice(31, 33), slice(31, 33)), 4),
        (16, (slice(16, 40), slice(0, 10)), 2),
    ],
)
def test_a_box_reads_only_the_chunks_that_it_touches(
    tmp_path: Path, lengths: list[int], tile: int | None, box: Box, expected: int
) -> None:
    array = PackedArray(tmp_path / "a.zarr", written(tmp_path / "a.zarr", tile))
    read(array, 4, box)
    assert len(lengths) == 1 + expected  # the shard's index
    read(array, 5, box)
    assert len(lengths) == 1 + 2 * expected  # which is kept
    read(array, 6, box)
    assert len(lengths) == 1 + 2 * expected  # all of it missing: there is no chunk


def test_threads_share_it(tmp_path: Path) -> None:
    array = written(tmp_path / "a.zarr", 16)
    packed, times = PackedArray(tmp_path / "a.zarr", array), [*range(TIMES)] * 10
    with ThreadPoolExecutor(4) as pool:
        fields = pool.map(lambda t: read(packed, t), times)
        assert all(np.array_equal(got, array[t]) for t, got in zip(times, fields, strict=True))


def test_a_flipped_bit_anywhere_in_a_shard_is_found_or_touches_nothing(tmp_path: Path) -> None:
    array = written(tmp_path / "a.zarr", 16)
    file = tmp_path / "a.zarr" / "t2m" / "c" / "0" / "0" / "0"
    sound, truth, rng = file.read_bytes(), array[:4], np.random.default_rng(1)
    for _ in range(300):
        spoiled = bytearray(sound)
        spoiled[rng.integers(len(sound))] ^= 1 << rng.integers(8)
        file.write_bytes(spoiled)
        packed = PackedArray(tmp_path / "a.zarr", array)
        with pytest.raises(BadDataError, match=r"t2m/c/0/0/0: damaged \(wrong checksum of .*prepare it again"):
            assert not np.array_equal([read(packed, time) for time in range(4)], truth)


@pytest.mark.parametrize("left", [None, 0, 3, 100, -1])
def test_a_lost_or_short_shard(tmp_path: Path, left: int | None) -> None:
    array = written(tmp_path / "a.zarr", 16)
    file = tmp_path / "a.zarr" / "t2m" / "c" / "1" / "0" / "0"
    content = file.read_bytes()
    file.unlink()
    if left is not None:
        file.write_bytes(content[:left])
    packed = PackedArray(tmp_path / "a.zarr", array)
    with pytest.raises(BadDataError, match=r"t2m/c/1/0/0: (missing|damaged).*prepare it again"):
        read(packed, 4)
    assert np.array_equal(read(packed, 3), array[3])


def test_a_shard_cut_short_after_its_index_was_read(tmp_path: Path) -> None:
    array = written(tmp_path / "a.zarr", 16)
    packed = PackedArray(tmp_path / "a.zarr", array)
    read(packed, 0)
    file = tmp_path / "a.zarr" / "t2m" / "c" / "0" / "0" / "0"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(BadDataError, match=r"bytes where .* should be"):
        read(packed, 3)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    add_array(group, "t2m", np.zeros((2, 3, 4), np.int16), ("time", "y", "x"), {})
    array = group["t2m"]
    assert isinstance(array, zarr.Array)
    with pytest.raises(BadDataError, match="t2m: not packed as this version packs; prepare it again"):
        PackedArray(tmp_path / "a.zarr", array)
