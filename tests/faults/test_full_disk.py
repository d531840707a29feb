"""A disk that is full from any call on: one line, exit code 74, and the last good output as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import Commands
from tests.faults.outputs import COMMANDS, content, furnished, litter

OVERWRITING = [name for name in COMMANDS if name not in ("train", "netcdf")]
FEW = [3, pytest.param(200, marks=pytest.mark.slow)]


def points(calls: int, most: int) -> list[int]:
    """Numbers of calls, spread evenly."""
    return np.unique(np.linspace(1, calls - 1, most).astype(int)).tolist()


def one_line(wml: Commands) -> bool:
    """Whether a command ended with an error of one line."""
    lines = wml.printed.splitlines()
    return [line for line in lines if line.startswith("error: ")] == lines[-1:] and "Traceback" not in wml.printed


@pytest.mark.parametrize("trials", FEW)
@pytest.mark.parametrize("name", [*OVERWRITING, pytest.param("netcdf", marks=pytest.mark.slow)])
def test_the_last_good_output_stays(wml: Commands, world: Path, name: str, trials: int) -> None:
    command, output = COMMANDS[name]
    folder = furnished(wml.root / "full", world, without=output)
    assert wml.run(command, folder) == 0, wml.printed
    good = content(folder / output)
    again = f"{command} --overwrite"
    assert wml.run(again, folder) == 0, wml.printed
    calls = wml.calls
    for at in points(calls, trials):
        where = f"full from call {at} of {calls} on"
        code = wml.run(again, folder, fault="full", at=at)
        assert code in (0, 73, 74), f"{where}: {wml.printed}"
        assert code == 0 or one_line(wml), f"{where}: {wml.printed}"
        assert content(folder / output) == good, where
    assert wml.run(again, folder) == 0, wml.printed
    assert content(folder / output) == good
    assert litter(folder) == set()


@pytest.mark.parametrize("trials", FEW)
def test_a_run_goes_on_when_there_is_room_again(wml: Commands, world: Path, trials: int) -> None:
    command, output = COMMANDS["train"]
    whole = furnished(wml.root / "whole", world, without=output)
    assert wml.run(command, whole) == 0
    calls, expected = wml.calls, content(whole / output)
    for at in points(calls, trials):
        folder = furnished(wml.root / "full", world, without=output)
        code = wml.run(command, folder, fault="full", at=at)
        where = f"full from call {at} of {calls} on"
        assert code in (0, 73, 74), f"{where}: {wml.printed}"
        assert code == 0 or one_line(wml), f"{where}: {wml.printed}"
        assert wml.run(command, folder) == 0, f"{where}: {wml.printed}"
        assert content(folder / output) == expected, where
