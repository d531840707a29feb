"""Reading zarr arrays so that a lost or damaged chunk is an error, never a fill value."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr
from numcodecs import blosc

from weatherml.data.packing import FILL
from weatherml.data.shards import ABSENT, CRC_BYTES
from weatherml.errors import BadDataError, reason

Array = npt.NDArray[Any]
Part = tuple[slice, ...]
"""Of an array: a span of each axis, all of those left out."""
Box = tuple[slice, slice]
"""Rows and columns of a grid."""
EVERY = slice(None)
WHOLE: Box = (EVERY, EVERY)
PACKED = [["bytes", "blosc", "crc32c"], ["bytes", "crc32c"], "end"]
"""The codecs of a chunk and of a shard's index, and where the index stands: what `layout.add_variable` writes."""
RESIDUE = 0x48674BC7  # CRC-32C of any bytes followed by their own CRC-32C, which saves cutting it off


def read_array(store: Path, group: zarr.Group, name: str, rows: slice = EVERY) -> Array:
    """Entries `rows` of the first axis of the array `name`, verified by their checksums.

    Raises:
        BadDataError: a file is missing or damaged.
    """
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise BadDataError(f"{store}/{name}: damaged (no such array); make it again")
    return read_part(store, array, (rows,) if array.ndim else ())


def read_part(store: Path, array: zarr.Array[Any], part: Part) -> Array:
    """A part of an array, verified by its checksums.

    Raises:
        BadDataError: a file is missing or damaged.
    """
    try:
        require_part(store, array, part)
        return np.asarray(array[part])
    except BadDataError:
        raise
    except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
        raise BadDataError(f"{store / array.path}: damaged ({reason(error)}); make it again") from None


class PackedArray:
    """The packed fields (time, y, x) of one variable, of which only the chunks asked for are read.

    It knows one layout, that of `layout.add_variable`, and so reads a chunk with one call each of the system, the
    checksum and the decompressor, straight into its place where that is in one piece. The indices of shards are read
    once and kept. Threads may share it.

    Raises:
        BadDataError: the array has another layout.
    """

    def __init__(self, store: Path, array: zarr.Array[Any]) -> None:
        self.folder, self.shape = store / array.path, array.shape
        if array.dtype != np.int16 or _codecs(array) != PACKED:
            raise BadDataError(f"{self.folder}: not packed as this version packs; prepare it again")
        assert array.shards is not None
        self.length, self.chunk = array.shards[0], array.chunks[1:]
        self._grid = tuple(whole // part for whole, part in zip(array.shards[1:], self.chunk, strict=True))
        self._indices: dict[int, Array] = {}

    def read(self, time: int, box: Box, out: Array) -> None:
        """Fill `out`, (h, w) int16, with the field at `time` cut to `box`.

        Raises:
            BadDataError: a chunk is missing or damaged.
        """
        shard, row = divmod(time, self.length)
        file = self.folder / "c" / str(shard) / "0" / "0"
        try:
            with file.open("rb", buffering=0) as stream:
                places = self._index(shard, stream.fileno())[row]
                for tile, inside, target in self._tiles(box):
                    self._fill(stream.fileno(), places[tile], inside, out[target])
        except FileNotFoundError:
            raise BadDataError(f"{file}: missing or empty; prepare it again") from None
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: blosc's
            raise BadDataError(f"{file}: damaged ({error}); prepare it again") from None

    def _index(self, shard: int, file: int) -> Array:
        """(times, rows of chunks, columns of chunks, 2) uint64: offset and length of each chunk of a shard."""
        if shard not in self._indices:
            shape = (self.length, *self._grid, 2)
            size = int(np.prod(shape)) * 8 + CRC_BYTES
            content = _read(file, os.fstat(file).st_size - size, size)
            self._indices[shard] = np.frombuffer(content[:-CRC_BYTES], "<u8").reshape(shape)
        return self._indices[shard]

    def _tiles(self, box: Box) -> Iterator[tuple[tuple[int, ...], Box, Box]]:
        """The chunks that a box touches: which, the part of the chunk, and its place in the box."""
        rows, columns = (
            list(_overlaps(span.indices(size), part))
            for span, size, part in zip(box, self.shape[1:], self.chunk, strict=True)
        )
        for i, row, to_row in rows:
            for j, column, to_column in columns:
                yield (i, j), (row, column), (to_row, to_column)

    def _fill(self, file: int, place: Array, inside: Box, out: Array) -> None:
        offset, length = (int(number) for number in place)
        if offset == length == ABSENT:
            out.fill(FILL)
            return
        content = _read(file, offset, length)
        if out.shape == self.chunk and out.flags.c_contiguous:
            blosc.decompress(content, out)
        else:
            chunk = np.empty(self.chunk, np.int16)
            blosc.decompress(content, chunk)
            out[...] = chunk[inside]


def extent(box: Box, shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a box on a grid."""
    rows, columns = (len(range(*span.indices(size))) for span, size in zip(box, shape, strict=True))
    return rows, columns


def _overlaps(span: tuple[int, int, int], part: int) -> Iterator[tuple[int, slice, slice]]:
    """The parts of an axis that a span touches: which, where in the part, and where in the span."""
    start, stop, _ = span
    for number in range(start // part, -(-stop // part)):
        first, last = max(start, number * part), min(stop, (number + 1) * part)
        yield number, slice(first - number * part, last - number * part), slice(first - start, last - start)


def _read(file: int, offset: int, length: int) -> bytes:
    """Bytes that end with their checksum, which is verified."""
    content = os.pread(file, length, offset) if offset >= 0 else b""
    if len(content) != length:
        raise ValueError(f"{len(content)} bytes where {length} should be")
    if google_crc32c.value(content) != RESIDUE:
        raise ValueError(f"wrong checksum of the {length} bytes from {offset}")
    return content


def _codecs(array: zarr.Array[Any]) -> list[Any]:
    """In the form of `PACKED`."""
    described: Any = array.metadata.to_dict()["codecs"]
    settings = described[0].get("configuration", {})
    names = [[codec["name"] for codec in settings.get(key, ())] for key in ("codecs", "index_codecs")]
    return [*names, settings.get("index_location")]


def require_part(store: Path, array: zarr.Array[Any], part: Part) -> None:
    """Raise BadDataError where a file of a part is one that zarr would take for fill values: none, or an empty one."""
    for key in _keys(array, part):
        file = store / array.path / key
        if not file.is_file() or file.stat().st_size == 0:
            raise BadDataError(f"{file}: missing or empty; make it again")


def _keys(array: zarr.Array[Any], part: Part) -> Iterator[str]:
    """The files that hold a part."""
    every = (*part, *(EVERY,) * (array.ndim - len(part)))
    spans = [span.indices(size) for span, size in zip(every, array.shape, strict=True)]
    numbers = [
        range(start // length, -(-stop // length))
        for (start, stop, _), length in zip(spans, array.shards or array.chunks, strict=True)
    ]
    yield from ("/".join(("c", *map(str, place))) for place in product(*numbers))
