"""A packed field as the bytes that its dataset holds: made where it is read, put together where it is written.

So that a field travels compressed from worker to writer, and no one compresses it twice. `chunks.PackedArray`
reads what stands here; zarr reads and writes the same layout (`layout.add_variable`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from weatherml.data.packing import FILL
from weatherml.files import replacing

Array = npt.NDArray[Any]
Shape = tuple[int, int]
CODEC: Final = "lz4"
LEVEL = 5
ABSENT = 2**64 - 1
"""In the index of a shard: no chunk here."""
CRC_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One packed field.

    Attributes:
        shape: (H, W).
        chunk: rows and columns of a chunk.
        chunks: compressed, in the order of rows and columns, each with its checksum.
        levels: (n,) uint16, the bits of the packed numbers that occur, increasing.
        counts: (n,) how often each does.
    """

    shape: Shape
    chunk: Shape
    chunks: tuple[bytes, ...]
    levels: Array
    counts: Array

    @classmethod
    def of(cls, field: Array, tile: int | None) -> Encoded:
        """Encode (H, W) int16 in chunks of `tile` rows and columns; None makes the whole field one."""
        chunk = chunk_shape(field.shape, tile)
        counts = np.bincount(field.view(np.uint16).ravel(), minlength=1 << 16)
        levels = np.flatnonzero(counts).astype(np.uint16)
        chunks = tuple(_compressed(_padded(field[part], chunk)) for part in _parts(field.shape, chunk))
        return cls(shape=field.shape, chunk=chunk, chunks=chunks, levels=levels, counts=counts[levels])

    def decoded(self) -> Array:
        """The field (H, W) int16."""
        field = np.empty(self.shape, np.int16)
        for content, where in zip(self.chunks, _parts(self.shape, self.chunk), strict=True):
            part = field[where]
            whole = part if self.chunk == self.shape else np.empty(self.chunk, np.int16)
            blosc.decompress(memoryview(content)[:-CRC_BYTES], whole)
            if whole is not part:
                part[...] = whole[: part.shape[0], : part.shape[1]]
        return field


def chunk_shape(shape: tuple[int, ...], tile: int | None) -> Shape:
    """Rows and columns of a chunk of fields (H, W)."""
    H, W = shape
    return min(tile or H, H), min(tile or W, W)


def write_shard(file: Path, fields: Sequence[Encoded], length: int) -> None:
    """Write the fields of up to `length` times as one shard, durably: chunks, then their index and its checksum."""
    per_time = len(fields[0].chunks)
    index = np.full((length * per_time, 2), ABSENT, "<u8")
    chunks = [chunk for field in fields for chunk in field.chunks]
    sizes = np.array([len(chunk) for chunk in chunks], "<u8")
    index[: len(chunks)] = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary, temporary.open("wb") as stream:
        stream.writelines(chunks)
        stream.write(_checked(index.tobytes()))


def _parts(shape: Shape, chunk: Shape) -> list[tuple[slice, slice]]:
    rows, columns = (range(0, size, part) for size, part in zip(shape, chunk, strict=True))
    return [(slice(row, row + chunk[0]), slice(column, column + chunk[1])) for row, column in product(rows, columns)]


def _padded(part: Array, chunk: Shape) -> Array:
    """A whole chunk, with the fill value beyond the edge of the grid."""
    if part.shape == chunk:
        return np.ascontiguousarray(part)
    whole = np.full(chunk, FILL, np.int16)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def _compressed(chunk: Array) -> bytes:
    return _checked(blosc.compress(chunk, CODEC.encode(), LEVEL, blosc.BITSHUFFLE))


def _checked(content: bytes) -> bytes:
    """With its CRC-32C behind it."""
    return content + int(google_crc32c.value(content)).to_bytes(CRC_BYTES, "little")
