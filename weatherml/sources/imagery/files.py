"""Arrays of an image time series by name: from NetCDF or zarr, an .npz file, or a folder of .npy files.

Nothing is ever unpickled, and an array is mapped before it is read, so that a header cannot claim more than
the file holds.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, ConfigError, reason
from weatherml.files import read_json
from weatherml.registry import suggest
from weatherml.sources import cf
from weatherml.sources.base import utc
from weatherml.sources.cf.dimensions import find_roles
from weatherml.sources.cf.times import read_times

Array = npt.NDArray[Any]
Loaded = TypeVar("Loaded")
Read: TypeAlias = tuple[Array, dict[str, Array]]
"""Dates, (T,) datetime64[s], and arrays by name, (T, H, W), (H, W), or either with a last dimension of bands."""

MOST_BYTES = 1 << 34  # of an array in an archive, which may be compressed a thousandfold
BROKEN = (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile)
"""What numpy raises on broken files."""


def is_images(path: Path) -> bool:
    """Whether a file or folder is an image time series, by its name or what lies in it."""
    return cf.is_cf(path) or path.suffix == ".npz" or is_folder(path)


def is_input(path: Path) -> bool:
    """Whether a file or folder is one input."""
    return cf.is_input(path) or is_folder(path)


def is_folder(path: Path) -> bool:
    """Whether a folder holds arrays, each in a file of its own."""
    return path.is_dir() and any(path.glob("*.npy"))


def size_of(path: Path) -> int:
    """Bytes of a file, or of a folder's files."""
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(file.stat().st_size for file in files)


def read_arrays(path: Path, names: Sequence[str], dates: str) -> Read:
    """The dates and the arrays called `names` of one image time series.

    Args:
        path: a NetCDF file, a zarr store, an .npz file, or a folder of .npy files.
        names: the arrays.
        dates: the array of dates; NetCDF and zarr have a time coordinate instead.

    Raises:
        BadDataError: broken, an array that is not there, or dates that are none, unsorted or twice.
    """
    read = _read_folder if is_folder(path) else _read_npz if path.suffix == ".npz" else _read_cf
    return read(path, names, dates)


def _read_cf(path: Path, names: Sequence[str], dates: str) -> Read:  # noqa: ARG001 - the time coordinate is found
    with cf.opened(path) as dataset:
        roles = find_roles(path, dataset)
        if "time" not in roles:
            raise BadDataError(f"{path}: no time among the dimensions {', '.join(map(str, dataset.sizes))}; give dates")
        order = [roles[role] for role in ("time", "y", "x")]
        arrays = {}
        for name in names:
            field = dataset[require(path, name, map(str, dataset.data_vars))]
            dims = [dim for dim in order if dim in field.dims]
            arrays[name] = np.asarray(field.transpose(*dims, ...).values)
        return read_times(path, dataset, roles["time"]), arrays


def _read_folder(path: Path, names: Sequence[str], dates: str) -> Read:
    def load(name: str) -> Array:
        file = path / f"{require(path, name, [each.stem for each in path.glob('*.npy')])}.npy"
        return _numpy(file, name, lambda: np.array(np.load(file, mmap_mode="r", allow_pickle=False)))

    listed = path / f"{dates}.json"
    given = np.array(_texts(listed, read_json(listed))) if listed.is_file() else load(dates)
    return as_times(f"{path}: {dates}", given), {name: load(name) for name in names}


def _texts(path: Path, listed: object) -> list[str]:
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise BadDataError(f"{path}: not a list of dates; write them as a list of ISO 8601 texts")
    return listed


def _read_npz(path: Path, names: Sequence[str], dates: str) -> Read:
    sizes = _numpy(path, "archive", lambda: _sizes(path))

    def load(name: str) -> Array:
        size = sizes[require(path, name, sizes)]
        if size > MOST_BYTES:
            raise BadDataError(f"{path}: {name} unpacks to {size / 2**30:.0f} GiB; cut the scene into smaller ones")
        return _numpy(path, name, lambda: _member(path, name))

    return as_times(f"{path}: {dates}", load(dates)), {name: load(name) for name in names}


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of each array of an archive, unpacked."""
    with zipfile.ZipFile(path) as archive:
        return {each.filename.removesuffix(".npy"): each.file_size for each in archive.infolist()}


def _member(path: Path, name: str) -> Array:
    with np.load(path, allow_pickle=False) as archive:
        return np.asarray(archive[name])


def _numpy(path: Path, name: str, load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives, its failures in the user's words."""
    try:
        return load()
    except BROKEN as error:
        what = f"{name} is not readable ({reason(error)})"
        raise BadDataError(f"{path}: {what}; write it again with numpy.save") from None


def require(path: Path, name: str, known: Collection[str] | Any) -> str:
    """The name, if there is such an array.

    Raises:
        BadDataError: there is none.
    """
    names = list(known)
    if name not in names:
        raise BadDataError(f"{path}: no array {name!r}; {suggest(name, names)}")
    return name


def as_times(at: str, given: Array) -> Array:
    """(T,) datetime64[s] UTC from datetime64 or ISO 8601 texts; `at` stands in the error.

    Raises:
        BadDataError: neither, not a time, or not in increasing order.
    """
    if given.ndim != 1 or given.dtype.kind not in "MU":
        raise BadDataError(f"{at}: {given.dtype} of shape {given.shape}; write (T,) datetime64 or ISO 8601 texts")
    try:
        texts = np.datetime_as_string(given, "s") if given.dtype.kind == "M" else given
        times = np.array([utc(str(text), at) for text in texts], "datetime64[s]")
    except ConfigError as error:
        raise BadDataError(str(error)) from None
    unordered = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "s"))
    if len(unordered):
        before, after = times[unordered[0] : unordered[0] + 2]
        what = "stands twice" if after == before else f"comes after {before}Z"
        raise BadDataError(f"{at}: {after}Z {what}; give each date once, in order")
    return times
