"""Whatever call to the system a command is killed or stopped at: what stands is whole, and goes on to the same end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import Commands, Fault
from tests.faults.outputs import COMMANDS, content, finished, furnished, litter

SLOW = pytest.mark.slow
TRIALS = [
    ("kill", 20, 4),
    ("stop", 2, 1),
    pytest.param("kill", 200, 1, marks=SLOW),
    pytest.param("stop", 50, 1, marks=SLOW),
]
BRIEF = [name for name in COMMANDS if name != "netcdf"]
CODES = {"kill": (0, -9), "stop": (0, 143, -15)}
"""0 where the end came before the signal; -15, which a shell calls 143 too, before there was anything to save."""


@pytest.mark.parametrize(("fault", "trials", "lives"), TRIALS)
@pytest.mark.parametrize("name", [*BRIEF, pytest.param("netcdf", marks=SLOW)])
def test_ended_at_any_call(wml: Commands, world: Path, name: str, fault: Fault, trials: int, lives: int) -> None:
    """So many trials, spread over all calls; an output bears `lives` of them before it is let come to its end."""
    command, output = COMMANDS[name]
    whole = furnished(wml.root / "whole", world, without=output)
    assert wml.run(command, whole) == 0, wml.printed
    calls, expected = wml.calls, content(whole / output)
    points = np.unique(np.linspace(1, calls - 1, trials).astype(int))
    for life, at in enumerate(np.random.default_rng(0).permutation(points).tolist()):
        folder = wml.root / "ended"
        if life % lives == 0:
            furnished(folder, world, without=output)
        where = f"{fault} at call {at} of {calls}"
        if not finished(folder / output):
            assert wml.run(command, folder, fault=fault, at=at) in CODES[fault], f"{where}: {wml.printed}"
        if finished(folder / output):
            assert content(folder / output) == expected, where
        elif life % lives == lives - 1:
            assert wml.run(command, folder) == 0, f"{where}: {wml.printed}"
            assert content(folder / output) == expected, where
            assert litter(folder) == set(), where
