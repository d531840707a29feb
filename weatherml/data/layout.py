"""How a dataset lies on disk: CF coordinates, packed arrays in shards, checksums on every byte.

One array a variable with dimensions (time, y, x): a chunk holds one time (the whole field, or tiles),
a shard about a day, so that a year is hundreds of files and not hundreds of thousands. Codecs run
bytes, bitshuffle + lz4, crc32c: the checksum comes last, so no flipped bit is ever read as data.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, BloscShuffle, BytesCodec, Crc32cCodec

from weatherml.data.packing import FILL, Packing
from weatherml.data.shards import CODEC, LEVEL, chunk_shape
from weatherml.grid import COORDINATES, Grid
from weatherml.variables import Variable

Array = npt.NDArray[Any]
CONVENTIONS = "CF-1.11"
MAPPING = "projection"
SHARD_BYTES = 1 << 30  # all variables of one shard, packed: what `prepare` holds in memory
TIME_ATTRIBUTES = {
    "standard_name": "time",
    "units": "seconds since 1970-01-01 00:00:00",
    "calendar": "proleptic_gregorian",
    "axis": "T",
}


def shard_length(step: np.timedelta64, times: int, field_bytes: int) -> int:
    """Times in a shard: a day of them, fewer where a day would not fit in memory."""
    day = max(1, int(np.timedelta64(1, "D") / step))
    return max(1, min(day, times, SHARD_BYTES // max(1, field_bytes)))


def codecs(itemsize: int) -> dict[str, Any]:
    """Codecs of a chunk of numbers of `itemsize` bytes: bitshuffle, lz4, then the checksum."""
    blosc = BloscCodec(cname=CODEC, clevel=LEVEL, shuffle=BloscShuffle.bitshuffle, typesize=itemsize)
    return {"serializer": BytesCodec(), "compressors": [blosc, Crc32cCodec()], "filters": None}


def add_array(group: zarr.Group, name: str, values: Array, dims: tuple[str, ...], attributes: dict[str, Any]) -> None:
    """Write a small whole array with its dimension names and attributes."""
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape or "auto",
        dimension_names=dims,
        attributes=attributes,
        fill_value=np.nan if values.dtype.kind == "f" else 0,
        config={"write_empty_chunks": True},  # an absent chunk is a lost one, never one of fill values alone
        overwrite=True,  # a resumed job may write its last arrays again
        **codecs(values.dtype.itemsize),
    )
    array[...] = values


def add_rows(
    group: zarr.Group, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, dims: tuple[str, ...], *, shard: int
) -> None:
    """Create an empty array of a few numbers a time, its files of the times of a shard."""
    group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(shard, *shape[1:]),
        dimension_names=dims,
        fill_value=np.nan,
        config={"write_empty_chunks": True},
        **codecs(np.dtype(dtype).itemsize),
    )


def add_grid(group: zarr.Group, grid: Grid) -> None:
    """Write the coordinates, the grid mapping, and latitude and longitude where the grid knows them."""
    for name, values, attributes in zip(grid.dims, (grid.y, grid.x), COORDINATES[grid.kind], strict=True):
        add_array(group, name, values.astype(np.float64), (name,), attributes)
    if grid.mapping:
        add_array(group, MAPPING, np.array(0, dtype=np.int32), (), plain_attributes(grid.mapping))
    if grid.kind == "projected" and grid.latlon is not None:
        for values, attributes in zip(grid.latlon, COORDINATES["latlon"], strict=True):
            name = attributes["standard_name"]
            kept = {key: value for key, value in attributes.items() if key != "axis"}
            add_array(group, name, values.astype(np.float32), grid.dims, kept)


def add_variable(
    group: zarr.Group, variable: Variable, packing: Packing, grid: Grid, *, times: int, shard: int, tile: int | None
) -> zarr.Array[Any]:
    """Create the packed array of one variable, empty, for `times` times."""
    chunk = (1, *chunk_shape(grid.shape, tile))
    shards = (shard, *(-(-size // part) * part for size, part in zip(grid.shape, chunk[1:], strict=True)))
    return group.create_array(
        variable.name,
        shape=(times, *grid.shape),
        dtype=np.int16,
        chunks=chunk,
        shards=shards,
        fill_value=FILL,
        dimension_names=("time", *grid.dims),
        attributes=variable_attributes(variable, grid) | packing_attributes(packing),
        **codecs(2),
    )


def packing_attributes(packing: Packing) -> dict[str, Any]:
    """The CF attributes that let any reader unpack."""
    return {
        "scale_factor": packing.scale_factor,
        "add_offset": packing.add_offset,
        "_FillValue": int(FILL),
    }


def variable_attributes(variable: Variable, grid: Grid) -> dict[str, Any]:
    """CF attributes of a variable on a grid."""
    long_name = variable.long_name or variable.name
    named = {"standard_name": variable.standard_name, "long_name": long_name, "units": variable.units}
    attributes = {key: value for key, value in named.items() if value}
    if grid.mapping:
        attributes["grid_mapping"] = MAPPING
    if grid.kind == "projected" and grid.latlon is not None:
        attributes["coordinates"] = "latitude longitude"
    return attributes


def plain_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as JSON types."""
    return {key: np.asarray(value).tolist() for key, value in attributes.items()}


def consolidate(path: Path) -> None:
    """Gather all metadata in the root, so that opening the store reads one file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        warnings.filterwarnings("ignore", message="Object at", category=UserWarning)  # files that are not zarr's
        zarr.consolidate_metadata(str(path))
