"""Ctrl-C is heard by every command, which goes on to the same end; a second signal is not waited for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.commands import Commands
from tests.faults.outputs import COMMANDS, content, furnished, litter
from tests.faults.stops import ENTRY

BRIEF = [name for name in COMMANDS if name != "netcdf"]


@pytest.mark.parametrize("name", BRIEF)
def test_an_interrupted_command_goes_on_to_the_same_end(wml: Commands, world: Path, name: str) -> None:
    command, output = COMMANDS[name]
    whole = world
    if not (whole / output).exists():
        whole = furnished(wml.root / "whole", world, without=output)
        assert wml.run(command, whole) == 0, wml.printed
    folder = furnished(wml.root / "stopped", world, without=output)
    assert wml.run(f"{signal.SIGINT.value} 1 {command}", folder, entry=ENTRY) == 130, wml.printed
    last = wml.printed.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith("run the same command to go on")
    assert wml.run(command, folder) == 0, wml.printed
    assert content(folder / output) == content(whole / output)
    assert litter(folder) == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BRIEF)
def test_a_second_signal_stops_at_once(wml: Commands, world: Path, name: str, number: signal.Signals) -> None:
    command, output = COMMANDS[name]
    folder = furnished(wml.root / "stopped", world, without=output)
    assert wml.run(f"{number.value} 2 {command}", folder, entry=ENTRY) == -number, wml.printed
    assert "error: " not in wml.printed
