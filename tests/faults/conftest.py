"""A server of commands, and a small world that they work on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import Commands, commands
from tests.faults.outputs import COMMANDS


@pytest.fixture(scope="session")
def wml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands in processes of their own."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler, which builds what counts and spoils calls to the system")
    root = tmp_path_factory.mktemp("faults") / "root"
    root.mkdir()
    with commands(root) as server:
        yield server


@pytest.fixture(scope="session")
def world(wml: Commands) -> Path:
    """A folder with the dataset d.zarr, the run r of a generative model and its forecast f.zarr."""
    folder = wml.root / "world"
    folder.mkdir()
    for name in ("prepare", "train", "rollout"):
        command, _ = COMMANDS[name]
        assert wml.run(command, folder) == 0, wml.printed
    return folder


@pytest.fixture(scope="session")
def sound(wml: Commands, world: Path, write_netcdf: Any) -> Path:
    """The world, and an input of every other kind."""
    from tests.faults.inputs import furnish  # noqa: PLC0415 - skips where eccodes is absent

    return furnish(wml, world, write_netcdf)
