"""Writes a golden sample of each kind, of the schema that this version writes: `python -m tests.schemas.make`.

Run it once when a schema's version grows, and keep what stands for the versions before: a sample that is
there is never written again.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from tests.data.sequences.toy import Toy
from weatherml.config import parse, parse_member
from weatherml.data.prepare import prepare
from weatherml.data.quality_page.page import PAGE
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.store import write_marker
from weatherml.files import remove
from weatherml.forecast.rollout import rollout
from weatherml.run.experiment import Experiment
from weatherml.schema import SCHEMAS
from weatherml.sources import SOURCES
from weatherml.train.trainer import train

HERE = Path(__file__).parent
FILES = ("calibration.json", "config.yaml", "data.json", "environment.json", "status.json")
WORLD = {"kind": "synthetic", "height": 16, "width": 16, "thin": 4, "hours": 30, "variables": {"t2m": {}, "refc": {}}}
EXPERIMENT = {
    "model": {"kind": "edm", "base_features": 2, "blocks": 1, "depth": 1, "embedding": 4},
    "loss": "mse",
    "sampler": {"kind": "heun", "steps": 2},
    "train": {
        "steps": 2,
        "batch": 1,
        "warmup": 1,
        "precision": "32-true",
        "validation": {"cases": 1, "lead_steps": 1},
        "calibration": {"cases": 1, "lead_steps": 1},
    },
}


class Daily(Toy):
    """The toy's series, a few points of a few days."""

    steps: int = 12
    size: int = 2


def dataset(path: Path) -> None:
    """Thirty hours of two variables on 4 x 4 points."""
    prepare(parse_member(SOURCES, WORLD, at="source"), [], path)
    remove(path / PAGE)  # all but a few kB of it
    write_marker(path, "dataset")


def sequences(path: Path) -> None:
    """Four series of twelve days."""
    prepare_sequences(Daily(), [], path)


def run(path: Path) -> None:
    """A network after two steps, calibrated, without what is only for people."""
    dataset(Path("dataset.zarr"))
    with mock.patch("platform.platform", return_value="Linux"):  # what made it tells nothing of the schema
        made = train(parse(Experiment, EXPERIMENT), Path("dataset.zarr"), path, device="cpu")
    for inner in set(path.iterdir()) - {made.checkpoints, *(path / name for name in FILES)}:
        remove(inner)
    remove(made.checkpoints / "best")  # the same weights once more


def forecast(path: Path) -> None:
    """Three hours from two times of the run's own weather."""
    run(Path("run"))
    rollout(Path("run"), Path("dataset.zarr"), init=["2024-06-02T01:00Z", "last"], steps=3, output=path, device="cpu")


MAKERS: dict[str, Callable[[Path], None]] = {
    "dataset.zarr": dataset,
    "sequences.zarr": sequences,
    "run": run,
    "forecast.zarr": forecast,
}
"""What makes a sample, by its name."""


def sample(name: str) -> Path:
    """Where the sample of the current version lies."""
    return HERE / f"v{SCHEMAS[Path(name).stem].current}" / name


def make(name: str) -> None:
    """Make one sample, in an empty folder so that no path of this machine gets into it."""
    path = sample(name)
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        MAKERS[name](Path(name))
        shutil.copytree(name, path)


if __name__ == "__main__":
    for name in MAKERS:
        if not sample(name).exists():
            make(name)
