"""How many steps a forecast has."""

from __future__ import annotations

from pathlib import Path

from weatherml.errors import UsageError
from weatherml.run.directory import open_run

DEFAULT_STEPS = 24


def forecast_steps(run: Path, *, hours: float | None, steps: int | None) -> int:
    """Model steps from `--hours` or `--steps`; 24 steps, a day of hourly ones, where neither is given.

    Raises:
        UsageError: both are given, or hours that are not whole steps of the run.
    """
    if hours is not None and steps is not None:
        raise UsageError("--hours and --steps: give one of them")
    if hours is None:
        return DEFAULT_STEPS if steps is None else steps
    seconds = open_run(run).forecast_lineage.step_seconds
    whole, rest = divmod(hours * 3600, seconds)
    if rest or whole < 1:
        raise UsageError(f"--hours {hours:g}: not a whole number of the run's steps of {seconds / 3600:g} h")
    return int(whole)
