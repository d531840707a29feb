"""Where outputs go that nobody gave a place: the same for the command line and from Python."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

DATA, RUNS, FORECASTS, EVALUATION = Path("data"), Path("runs"), Path("forecasts"), Path("evaluation")
EXPORTS = Path("exports")


def fresh(folder: Path, name: str, suffix: str = "") -> Path:
    """A path in `folder` that is not taken: `name`, or `name-2`, `name-3`, ..."""
    candidates = (folder / f"{name}{'' if number == 1 else f'-{number}'}{suffix}" for number in range(1, 100_000))
    return next(path for path in candidates if not path.exists())


def run_name(run: Path) -> str:
    """The name of a run's directory or bundle, for what is made from it."""
    return run.resolve().name.removesuffix(".safetensors")


def timestamp() -> str:
    """Now, as a part of a name."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
