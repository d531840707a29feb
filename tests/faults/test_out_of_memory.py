"""Memory that is not there at the k-th call of the network: less at a time and the same result, or exit code 69."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.commands import refused, wml
from tests.faults.outputs import COMMANDS, INPUTS, content
from weatherml.fields import Fields
from weatherml.models.crps import CRPSModel
from weatherml.run.directory import open_run

TWO = "--init 2024-06-03T01:00"
COMPUTING = ("train", "rollout", "ensemble")
SAID = {"train": "microbatches are cut into 2", "rollout": "going on with 1 forecasts", "ensemble": "forecasts at a"}
Fails = Callable[[int], bool]


@pytest.fixture(autouse=True)
def _elsewhere(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in INPUTS:
        (tmp_path / name).symlink_to(world / name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fails], None]:
    """Let some calls of the network fail, counted from 1."""

    def install(fails: Fails) -> None:
        calls, step = 0, CRPSModel.step

        def limited(self: CRPSModel, *arguments: Any) -> Fields:
            nonlocal calls
            calls += 1
            if fails(calls):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step(self, *arguments)

        monkeypatch.setattr(CRPSModel, "step", limited)

    return install


def command(name: str) -> tuple[list[str], Path]:
    """A command on two cases, and its output, which is new."""
    line, output = COMMANDS[name]
    words = [f"new-{word}" if word == output else word for word in line.split()]
    return words + ([] if name == "train" else TWO.split()), Path(f"new-{output}")


@pytest.mark.parametrize("nth", [2, *(pytest.param(nth, marks=pytest.mark.slow) for nth in (1, 3))])
@pytest.mark.parametrize("name", COMPUTING)
def test_less_at_a_time_gives_the_same(name: str, nth: int, out_of_memory: Callable[[Fails], None]) -> None:
    words, output = command(name)
    whole = Path("r")
    if name != "train":
        assert wml(*words)[0] == 0
        whole = output.rename("whole")
    out_of_memory(lambda call: call == nth)
    code, _, stderr = wml(*words)
    assert code == 0, stderr
    assert SAID[name] in stderr
    if name == "train":  # the same batch in pieces: sums of floats in another order
        ours, theirs = (open_run(path).best().average for path in (output, whole))
        assert all(torch.allclose(ours[key], theirs[key], rtol=0.05, atol=5e-3) for key in theirs)
    else:
        assert content(output) == content(whole)


@pytest.mark.parametrize("name", COMPUTING)
def test_not_even_the_smallest_fits(name: str, out_of_memory: Callable[[Fails], None]) -> None:
    out_of_memory(lambda call: True)
    refused(69, "memory", *command(name)[0])


def test_a_validation_that_does_not_fit_ends_as_one_line(out_of_memory: Callable[[Fails], None]) -> None:
    out_of_memory(lambda call: not torch.is_grad_enabled())
    refused(69, "out of memory", *command("train")[0])
