"""NetCDF files that may be damaged: at a broken header HDF5 may crash, or loop for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from weatherml.data.child import CrashError, stream
from weatherml.data.netcdf_seal import verify_seal
from weatherml.errors import BadDataError
from weatherml.mortal import HEADERS_S, processor_limit

OPENED: set[tuple[Path, int, int]] = set()
"""Files that did open or are as they were written, with the time of their last change and their size."""


def require_opens(path: Path, *, whole: bool = False) -> bool:
    """Make sure that this process may open a file: compare it with its seal, or open it in a process of its own first.

    Args:
        path: of the file.
        whole: most of it is going to be read, so that comparing it, where it has a seal, costs little.

    Returns:
        Whether every byte was compared.

    Raises:
        BadDataError: changed since it was written, or opening it crashed or hung. What is merely no NetCDF is left to
            whoever opens it next.
    """
    compared = whole and verify_seal(path)
    found = path.stat()
    as_it_stands = (path.resolve(), found.st_mtime_ns, found.st_size)
    if not compared and as_it_stands not in OPENED:
        try:
            for _ in stream(_look, str(path)):
                pass
        except CrashError:
            raise BadDataError(f"{path}: opening it crashed or stalled HDF5; fetch or write it again") from None
    OPENED.add(as_it_stands)
    return compared


def _look(path: str) -> Iterator[None]:
    import xarray as xr  # noqa: PLC0415 - slow to import, and not needed where nothing is opened

    with suppress(Exception), processor_limit(HEADERS_S):
        xr.open_dataset(path, engine="netcdf4", decode_cf=False).close()
    yield
