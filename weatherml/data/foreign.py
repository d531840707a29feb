"""NetCDF files that nobody vouches for: at a damaged header HDF5 may crash, or loop for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from weatherml.data.child import CrashError, stream
from weatherml.errors import BadDataError
from weatherml.mortal import HEADERS_S, processor_limit

OPENED: set[tuple[Path, int, int]] = set()
"""Files that did open, with the time of their last change and their size."""


def require_opens(path: Path) -> None:
    """Open a file in a process of its own, before this one does.

    Raises:
        BadDataError: that crashed or hung. What is merely no NetCDF is left to whoever opens it next.
    """
    found = path.stat()
    as_it_stands = (path.resolve(), found.st_mtime_ns, found.st_size)
    if as_it_stands in OPENED:
        return
    try:
        for _ in stream(_look, str(path)):
            pass
    except CrashError:
        raise BadDataError(f"{path}: opening it crashed or stalled HDF5; fetch or write it again") from None
    OPENED.add(as_it_stands)


def _look(path: str) -> Iterator[None]:
    import xarray as xr  # noqa: PLC0415 - slow to import, and not needed where nothing is opened

    with suppress(Exception), processor_limit(HEADERS_S):
        xr.open_dataset(path, engine="netcdf4", decode_cf=False).close()
    yield
