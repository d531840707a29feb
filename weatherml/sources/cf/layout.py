"""One NetCDF file or zarr store: how it is opened, what it holds, how its values are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, WMLError, reason
from weatherml.grid import MOST_POINTS, Grid
from weatherml.mortal import HEADERS_S, processor_limit
from weatherml.sources.cf.channels import Channel, Chosen, find_channels, find_statics
from weatherml.sources.cf.dimensions import find_roles
from weatherml.sources.cf.grid import read_grid
from weatherml.sources.cf.times import read_times

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]
SUFFIXES = {".nc", ".nc4", ".cdf", ".netcdf", ".zarr"}
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
MOST_OVERHEAD = 1 << 20
CLASSIC = (b"CDF\x01", b"CDF\x02")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr store."""
    return any((path / mark).is_file() for mark in ZARR_MARKS)


def is_input(path: Path) -> bool:
    """Whether a file or folder is one input, if asked for by name."""
    return path.is_file() or is_zarr(path)


def is_cf(path: Path) -> bool:
    """Whether an input is NetCDF or zarr by its name."""
    return path.suffix.lower() in SUFFIXES


@contextmanager
def opened(path: Path) -> Iterator[xr.Dataset]:
    """The dataset, nothing loaded, times not decoded.

    Raises:
        BadDataError: it cannot be opened, or what is read of it meanwhile is broken.
    """
    import xarray as xr  # noqa: PLC0415 - slow to import

    how: dict[str, Any] = {"engine": "zarr", "consolidated": False} if is_zarr(path) else {"engine": "netcdf4"}
    try:
        _check_classic(path)
        how |= {"chunks": None, "decode_times": False, "decode_timedelta": False, "create_default_indexes": False}
        with processor_limit(HEADERS_S):  # HDF5 loops for ever over some damaged headers
            dataset = xr.open_dataset(path, **how)
        with dataset:
            _check_axes(dataset)
            yield dataset
    except (WMLError, PermissionError):
        raise
    except Exception as error:  # noqa: BLE001 - a broken file breaks netCDF4, zarr and xarray in any way
        raise BadDataError(f"{path}: not readable ({reason(error)}); fetch or write it again") from None


def _check_axes(dataset: xr.Dataset) -> None:
    """Raise ValueError where an axis, which is read whole, claims to be too long."""
    for name, axis in dataset.coords.items():
        if axis.size > MOST_POINTS:
            raise ValueError(f"{name} claims {axis.size} values, at most {MOST_POINTS} are read")


def _check_chunks(path: Path, dataset: xr.Dataset) -> None:
    """Raise ValueError where a file of a store is larger than its chunk, uncompressed: it would inflate further."""
    for name, field in dataset.variables.items() if path.is_dir() else ():
        chunk = field.encoding.get("shards") or field.encoding.get("chunks") or (1,)
        most = 2 * math.prod(chunk) * field.dtype.itemsize + MOST_OVERHEAD
        for file in (path / str(name)).rglob("*"):
            if file.is_file() and file.stat().st_size > most:
                raise ValueError(f"{file.relative_to(path)} has {file.stat().st_size} bytes, a chunk at most {most}")


def _check_classic(path: Path) -> None:
    """Refuse a NetCDF 3 file that ends early: the netCDF library reads what is missing as zeros.

    Raises:
        ValueError: it does.
    """
    if path.is_dir():
        return
    with path.open("rb") as stream:
        if stream.read(4) not in CLASSIC:
            return
    from scipy.io import netcdf_file  # noqa: PLC0415 - slow to import, and only old files need it

    try:
        netcdf_file(path, mmap=True).close()  # maps every variable, reads none
    except (ValueError, TypeError, MemoryError):  # a header may claim any length
        raise ValueError("it ends before its last variable does") from None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one file holds.

    Attributes:
        path: the file or store.
        size: in bytes.
        roles: its dimensions' names by role (`time`, `y`, `x`).
        grid: the horizontal grid.
        times: (N,) datetime64[s] UTC.
        channels: by name.
        statics: fields without time by name: their names in the file.
        names: of all variables, in lower case.
        notes: what was left out.
    """

    path: Path
    size: int
    roles: dict[str, str]
    grid: Grid
    times: Array
    channels: dict[str, Channel]
    statics: dict[str, str]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def read(self, dataset: xr.Dataset, name: str, positions: Array) -> Array:
        """(n, H, W) float32 of a channel at some positions in time, one read for each unbroken run."""
        channel = self.channels[name]
        runs = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
        slices = [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
        return channel.convert(np.concatenate([self.load(dataset, channel.source_name, part) for part in slices]))

    def load(self, dataset: xr.Dataset, source_name: str, positions: slice = slice(None)) -> Array:
        """Values of a variable in the opened file, (N, H, W), or (H, W) without time.

        Raises:
            BadDataError: naming the variable and the first time.
        """
        field = dataset[source_name]
        at = source_name
        if self.roles.get("time") in field.dims:
            field = field.isel({self.roles["time"]: positions})
            at = f"{source_name} from {self.times[positions][0]}Z"
        order = [self.roles[role] for role in ("time", "y", "x") if self.roles.get(role) in field.dims]
        try:
            return np.asarray(field.squeeze([dim for dim in field.dims if dim not in order]).transpose(*order).values)
        except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
            raise BadDataError(f"{self.path}: {at}: {reason(error)}; fetch or write it again") from None


def read_layout(path: Path, chosen: Chosen | None) -> Layout:
    """What a file holds: coordinates and attributes are read, fields are not.

    Raises:
        BadDataError: it cannot be read, or is not laid out over (time and) y and x.
    """
    with opened(path) as dataset:
        roles = find_roles(path, dataset)
        _check_chunks(path, dataset)
        time = roles.get("time")
        if (points := dataset.sizes[roles["y"]] * dataset.sizes[roles["x"]]) > MOST_POINTS:
            raise BadDataError(f"{path}: claims {points} points, at most {MOST_POINTS} are read; cut a region out")
        channels, notes = find_channels(path, dataset, roles, chosen)
        grid, grid_notes = read_grid(path, dataset, roles)
        return Layout(
            path=path,
            size=_size(path),
            roles=roles,
            grid=grid,
            times=read_times(path, dataset, time) if time else np.array([], "datetime64[s]"),
            channels=channels,
            statics=find_statics(dataset, roles),
            names=tuple(str(name).lower() for name in dataset.data_vars),
            notes=(*notes, *grid_notes),
        )


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(file.stat().st_size for file in files)
