"""Workers of a dask scheduler, processes of their own, make the same bytes as this one alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.preparing import run, tree
from weatherml.files import read_json

LONGEST_START_S = 120


def started(stack: ExitStack, *arguments: str) -> None:
    """A process of dask's command line, ended with `stack`."""
    process = subprocess.Popen([sys.executable, "-m", "dask", *arguments], stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A scheduler with two workers, over loopback."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        started(
            stack, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        for _ in range(2):
            started(stack, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
        deadline = time.monotonic() + LONGEST_START_S
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield read_json(file)["address"]


@pytest.mark.slow
def test_two_workers_make_the_bytes_of_one_process(tmp_path: Path, write_netcdf: Any, address: str) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][5], fields["t2m"][40, 2, 2] = 0, 0

    path = write_netcdf(tmp_path / "a.nc", hours=60, change=spoil)
    alone = run(path, tmp_path / "alone.zarr")
    together = run(path, tmp_path / "together.zarr", dask=address)
    assert tree(together.path) == tree(alone.path)
