"""Plain xarray files read with care: axes compared by value, units by meaning, broken chunks named."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.data.foreign import require_opens
from weatherml.data.layout import MAPPING
from weatherml.data.store import MARKER
from weatherml.errors import BadDataError, MissingInputError, reason
from weatherml.grid import Grid, Kind

Array = npt.NDArray[Any]
SPELLINGS = {"kelvin": "K", "degk": "K", "celsius": "degC", "degrees_celsius": "degC", "c": "degC"}
HOURS = {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600, "ms": 1 / 3.6e6, "us": 1 / 3.6e9, "ns": 1 / 3.6e12}
UNIT_LETTERS = {
    "days": "d", "day": "d", "hours": "h", "hour": "h", "hr": "h", "minutes": "m", "minute": "m", "min": "m",
    "seconds": "s", "second": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns",
}  # fmt: skip


def open_file(path: Path, *, whole: bool = False) -> xr.Dataset:
    """Open a zarr store or a NetCDF file, lazily; durations stay numbers.

    Args:
        path: where it lies.
        whole: most of it is going to be read, so that it costs little to compare a NetCDF file with its seal first.

    Raises:
        MissingInputError: nothing there.
        BadDataError: not a file that xarray reads, or changed since it was written.
    """
    if not path.exists():
        raise MissingInputError(f"{path}: no such file; give a zarr store or a NetCDF file")
    if path.is_file():
        require_opens(path, whole=whole)
    engine = "zarr" if path.is_dir() else "netcdf4"
    try:
        with warnings.catch_warnings():
            # of stores without consolidated metadata, and of our JSON files that lie beside the arrays
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
            warnings.filterwarnings("ignore", message="Object at .* is not recognized")
            return xr.open_dataset(path, engine=engine, chunks=None, cache=False, decode_timedelta=False)
    except Exception as error:  # noqa: BLE001 - a damaged file makes its library raise anything
        raise BadDataError(f"{path}: cannot be opened ({reason(error)}); give zarr or NetCDF") from None


def load(array: xr.DataArray, along: str, labels: Sequence[Any], path: Path) -> Array:
    """The values of a lazy array, float32; `labels` name its entries along the dimension `along`.

    Raises:
        BadDataError: a chunk is corrupt; the message names the variable and its time.
    """
    try:
        return np.asarray(array.values, dtype=np.float32)
    except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
        why = reason(error)
    bad = next((label for i, label in enumerate(labels) if not _readable(array.isel({along: i}))), labels[0])
    raise BadDataError(f"{path}: {array.name} at {bad}: {why}; write the file again")


def require_files(array: xr.DataArray, places: Mapping[str, Sequence[int]], label: str, path: Path) -> None:
    """Refuse a part of a store of ours of which a file is lost: zarr would read it as missing data.

    Other stores leave out what is empty, so nothing is asked of them.

    Args:
        array: whole, as it was opened.
        places: by dimension, indices of the part; all of the others.
        label: the part's time in words.
        path: of the store.

    Raises:
        BadDataError: a file is not there or empty; the message names the variable and its time.
    """
    if not (path / MARKER).exists():
        return
    lengths = array.encoding.get("shards") or array.encoding["chunks"]
    numbers = [
        sorted({index // length for index in places.get(str(dim), range(array.sizes[dim]))})
        for dim, length in zip(array.dims, lengths, strict=True)
    ]
    for key in product(*numbers):
        file = path / str(array.name) / "c" / "/".join(map(str, key))
        if not file.is_file() or file.stat().st_size == 0:
            raise BadDataError(f"{path}: {array.name} at {label}: its file is lost; make it again")


def _readable(array: xr.DataArray) -> bool:
    try:
        array.load()
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def grid_dims(dataset: xr.Dataset, path: Path) -> tuple[str, str]:
    """The names of the rows' and columns' dimensions.

    Raises:
        BadDataError: neither (y, x) nor (latitude, longitude).
    """
    for rows, columns in (("y", "x"), ("latitude", "longitude")):
        if {rows, columns} <= set(map(str, dataset.sizes)):
            return rows, columns
    raise BadDataError(
        f"{path}: dimensions {', '.join(map(str, dataset.sizes))}; rename the grid's to y, x or latitude, longitude"
    )


def read_grid(dataset: xr.Dataset, path: Path) -> Grid:
    """The grid of a dataset's coordinates; bare dimensions are numbered."""
    dims = grid_dims(dataset, path)
    y, x = (
        np.asarray(dataset[dim].values, float) if dim in dataset.coords else np.arange(float(dataset.sizes[dim]))
        for dim in dims
    )
    return Grid(kind=_kind(dataset, dims), y=y, x=x, mapping=read_mapping(dataset))


def _kind(dataset: xr.Dataset, dims: tuple[str, str]) -> Kind:
    if dims[0] == "latitude":
        return "latlon"
    metres = dims[0] in dataset.coords and dataset[dims[0]].attrs.get("units") in ("m", "metre", "meter")
    return "projected" if metres else "index"


def read_mapping(dataset: xr.Dataset) -> dict[str, Any]:
    """The CF grid mapping's attributes; empty where the file has none."""
    named = [array.encoding.get("grid_mapping", array.attrs.get("grid_mapping")) for array in dataset.values()]
    name = next((name for name in [*named, MAPPING] if name in dataset.variables), None)
    attributes = dataset[name].attrs if name else {}
    return {str(key): np.asarray(value).tolist() for key, value in attributes.items()}


def grid_difference(truth: Grid, dataset: xr.Dataset, path: Path) -> str:
    """In words, how a forecast's grid differs from the truth's; empty where it does not.

    Coordinates may be rounded to a hundredth of a cell (float32), and what a foreign file does not say of
    its grid is not held against it.
    """
    grid = read_grid(dataset, path)
    if grid.shape == truth.shape:
        bare = grid.dims[0] not in dataset.coords
        y, x = (_snap(theirs, mine, bare) for theirs, mine in ((grid.y, truth.y), (grid.x, truth.x)))
        kind = truth.kind if grid.dims == truth.dims else grid.kind
        grid = Grid(kind=kind, y=y, x=x, mapping=_snap_mapping(grid.mapping, truth.mapping))
    return truth.difference(grid)


def _snap(theirs: Array, mine: Array, bare: bool) -> Array:
    cell = np.abs(np.diff(mine)).min() if len(mine) > 1 else 1.0
    return mine if bare or np.abs(theirs - mine).max() <= 0.01 * cell else theirs


def _snap_mapping(theirs: dict[str, Any], mine: dict[str, Any]) -> dict[str, Any]:
    shared = [key for key in theirs if key in mine and key not in ("crs_wkt", "long_name")]
    same = all(_equal(theirs[key], mine[key]) for key in shared)
    return mine if same else {**mine, **theirs}


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-6))
    except (TypeError, ValueError):
        return bool(a == b)


def plain_units(units: str) -> str:
    """Units in one spelling: `m/s`, `m s**-1` and `m s^-1` are `m s-1`."""
    spelled = re.sub(r"\s*/\s*([A-Za-z]+)", r" \1-1", units.strip().replace("**", "").replace("^", ""))
    return SPELLINGS.get(spelled.lower(), spelled)


def lead_hours(values: Array, units: str | None) -> Array:
    """Lead times in hours: from timedelta64, or from numbers with units (`hours` where none are said)."""
    if values.dtype.kind == "m":
        return np.asarray(values / np.timedelta64(1, "h"), float)
    letter = UNIT_LETTERS.get(units or "hours", units or "h")
    if letter not in HOURS:
        raise BadDataError(f"lead_time: units {units!r}; use hours, minutes, seconds or days")
    return np.asarray(values, float) * HOURS[letter]
