"""Whatever call to the system a command is killed or stopped at: what stands is whole, and goes on to the same end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.faults.commands import Commands, Fault
from tests.faults.outputs import COMMANDS, content, finished, furnished, litter

SLOW = pytest.mark.slow
TRIALS = [("kill", 20), ("stop", 3), pytest.param("kill", 200, marks=SLOW), pytest.param("stop", 50, marks=SLOW)]
CODES = {"kill": (0, -9), "stop": (0, 143, -15)}
"""0 where the end came before the signal; -15, which a shell calls 143 too, before there was anything to save."""


@pytest.mark.parametrize(("fault", "trials"), TRIALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_ended_at_any_call(wml: Commands, world: Path, name: str, fault: Fault, trials: int) -> None:
    command, output = COMMANDS[name]
    whole = furnished(wml.root / "whole", world, without=output)
    assert wml.run(command, whole) == 0, wml.printed
    calls, expected = wml.calls, content(whole / output)
    for at in np.unique(np.linspace(1, calls - 1, trials).astype(int)).tolist():
        folder = furnished(wml.root / "ended", world, without=output)
        where = f"{fault} at call {at} of {calls}"
        assert wml.run(command, folder, fault=fault, at=at) in CODES[fault], f"{where}: {wml.printed}"
        if not finished(folder / output):
            assert wml.run(command, folder) == 0, f"{where}: {wml.printed}"
            assert litter(folder) == set(), where
        assert content(folder / output) == expected, where
