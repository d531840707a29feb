"""One array: its `.zarray`, taken only where it says what is expected, and its chunks, decoded by Blosc.

Metadata and chunks come from outside: sizes are capped and compared before a native decoder sees a byte.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weatherml.config import Config, parse
from weatherml.errors import BadDataError, ConfigError

Array = npt.NDArray[Any]
METADATA = ".zarray"
MOST_METADATA = 1 << 14  # bytes
MOST_CHUNK = 1 << 25  # bytes of a chunk, decoded; HRRR's largest, 48 hours of float32, has 4.3 million
HEADER = 16  # bytes of Blosc's


class Compressor(Config):
    """Blosc, with whichever of its codecs."""

    id: Literal["blosc"]
    cname: str = ""
    clevel: int = 0
    shuffle: int = 0
    blocksize: int = 0


class Metadata(Config):
    """A `.zarray` that is read; anything else in it is refused."""

    zarr_format: Literal[2]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: Literal["<f2", "<f4"]
    compressor: Compressor
    filters: None = None
    order: Literal["C"]
    fill_value: float | Literal["NaN", "Infinity", "-Infinity"] | None = None
    dimension_separator: Literal["."] = "."


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """A field, or fields along a first dimension, in chunks.

    Attributes:
        metadata: what its `.zarray` says.
    """

    metadata: Metadata

    @property
    def length(self) -> int:
        """Fields along the first dimension; 1 where the array is one field."""
        return math.prod(self.metadata.shape[:-2])

    @property
    def chunk(self) -> tuple[int, int]:
        """Rows and columns of a chunk; those at the upper edges are padded to it."""
        rows, columns = self.metadata.chunks[-2:]
        return rows, columns

    def key(self, index: int, chunk: tuple[int, int]) -> str:
        """The name of the chunk at (row, column) `chunk` that holds the field `index`."""
        leading = [index // self.metadata.chunks[0]] if len(self.metadata.shape) > 2 else []
        return ".".join(str(number) for number in (*leading, *chunk))

    def decode(self, content: bytes, index: int) -> Array:
        """The (rows, columns) float32 of the field `index` in a chunk that holds it, NaN where missing.

        Missing is what the metadata call the fill value, unless that is 0, which zarr writes where nobody chose
        one and which is a value; and what is not finite: float16 ends at 65504.

        Raises:
            ValueError: other than so many values, or not Blosc's.
        """
        from numcodecs import blosc  # noqa: PLC0415 - loads a native library that only reading needs

        dtype, shape = np.dtype(self.metadata.dtype), self.metadata.chunks
        _check_header(content, math.prod(shape) * dtype.itemsize)
        try:
            values = np.frombuffer(blosc.decompress(content), dtype).reshape(-1, *shape[-2:])
        except RuntimeError as error:
            raise ValueError(f"Blosc: {error}") from None
        field = values[index % len(values)].astype(np.float32)
        fill = self.metadata.fill_value
        missing = ~np.isfinite(field)
        if isinstance(fill, float) and fill != 0:
            missing |= field == np.float32(dtype.type(fill))
        return np.where(missing, np.float32(np.nan), field)


def stored_array(content: bytes, shape: tuple[int, int], *, at: str) -> StoredArray:
    """The array that a `.zarray` describes, whose fields have `shape`.

    Raises:
        BadDataError: not JSON, or an array that is not read.
    """
    try:
        metadata = parse(Metadata, json.loads(content), at=METADATA)
    except (ValueError, RecursionError, ConfigError) as error:
        raise BadDataError(f"{at}: {' '.join(str(error).split()):.300}") from None
    problem = _problem(metadata, shape)
    if problem:
        raise BadDataError(f"{at}: {problem}; check the archive")
    return StoredArray(metadata=metadata)


def _problem(metadata: Metadata, shape: tuple[int, int]) -> str:
    """Why an array is not read; empty where it is."""
    sizes, chunks = metadata.shape, metadata.chunks
    if len(sizes) not in (2, 3) or sizes[-2:] != shape:
        return f"an array of {sizes} where fields of {shape} are expected"
    if len(chunks) != len(sizes) or min(*sizes, *chunks) < 1:
        return f"an array of {sizes} in chunks of {chunks}"
    if math.prod(chunks) * np.dtype(metadata.dtype).itemsize > MOST_CHUNK:
        return f"chunks of {chunks}, over {MOST_CHUNK} bytes"
    return ""


def _check_header(content: bytes, size: int) -> None:
    """Refuse what Blosc would decode to another size, before it asks for memory."""
    if len(content) < HEADER:
        raise ValueError(f"{len(content)} bytes are no Blosc chunk")
    decoded, encoded = (int.from_bytes(content[start : start + 4], "little") for start in (4, 12))
    if (decoded, encoded) != (size, len(content)):
        raise ValueError(
            f"says that {encoded} bytes decode to {decoded}, and has {len(content)} where {size} are to come"
        )
