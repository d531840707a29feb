"""How tests make datasets, look at their bytes, and kill the job on its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weatherml.config import parse_member
from weatherml.data.prepare import Options, prepare
from weatherml.data.store import Dataset
from weatherml.sources import SOURCES
from weatherml.sources.netcdf import NetCDFSource


def run(path: Path, output: Path, *, overwrite: bool = False, dask: str | None = None, **settings: Any) -> Dataset:
    """Prepare the NetCDF file or folder at `path`."""
    config = parse_member(SOURCES, {"kind": "netcdf", **settings}, at="source")
    return prepare(config, [str(path)], output, options=Options(overwrite=overwrite, dask=dask))


def tree(path: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


class Killed(BaseException):
    """What no handler of ours or of zarr's catches, as SIGKILL."""


def killing(monkeypatch: pytest.MonkeyPatch, at: int) -> list[Path]:
    """Make the replacement number `at` of a file or folder the last thing that happens."""
    replace, calls = Path.replace, []

    def replace_or_die(self: Path, target: Path) -> Path:
        calls.append(Path(target))
        if len(calls) == at + 1:
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    monkeypatch.setattr(NetCDFSource, "isolated", False)  # a process that died with each job would take minutes
    return calls
