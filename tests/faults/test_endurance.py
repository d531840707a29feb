"""Night after night in one process: memory stays flat, files are closed, and no round grows slower."""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.rollout import rollout
from weatherml.verify import evaluate

PAGE = resource.getpagesize()
INIT = ["2024-06-03T02:00"]


@dataclass(frozen=True)
class Round:
    """What one rollout, ensemble and evaluation left behind."""

    resident: int
    handles: int
    seconds: float


def one_round(world: Path, folder: Path) -> Round:
    """Forecast, twice, and judge, each over the last round's output."""
    begin = time.process_time()
    where = {"init": INIT, "steps": 2, "device": "cpu", "overwrite": True}
    run, data = world / "r", world / "d.zarr"
    rollout(run, data, output=folder / "rollout.zarr", **where)
    ensemble(run, data, EnsembleConfig(members=2), output=folder / "ensemble.zarr", **where)
    forecasts = [folder / "rollout.zarr", folder / "ensemble.zarr"]
    evaluate(forecasts, data, baselines=["persistence"], output=folder / "scores", overwrite=True, resamples=20)
    seconds = time.process_time() - begin
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Round(pages * PAGE, len(list(Path("/proc/self/fd").iterdir())), seconds)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [300])
def test_nothing_grows(world: Path, tmp_path: Path, rounds: int) -> None:
    warm, *found = [one_round(world, tmp_path) for _ in range(rounds)][rounds // 5 :]
    first, last = found[: rounds // 5], found[-rounds // 5 :]
    assert max(each.handles for each in found) <= warm.handles
    assert np.median([each.resident for each in last]) <= 1.02 * np.median([each.resident for each in first])
    assert np.median([each.seconds for each in last]) <= 1.2 * np.median([each.seconds for each in first])
