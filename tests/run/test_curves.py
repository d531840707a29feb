"""Training curves: what is there is drawn, and no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weatherml.config import parse
from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, MissingInputError, UsageError
from weatherml.run.curves import plot_training, training_panels
from weatherml.run.directory import Run, create_run
from weatherml.run.experiment import Experiment

METRICS = [
    {"step": 20, "loss": 2.0, "loss/t2m": 1.5, "loss/u10": 0.5, "lr": 0.1, "gradient_norm": 3.0, "sigma/1": 1.0},
    {"step": 20, "skill": 0.9, "skill/t2m": 0.8, "roughness_db": 1.0},
    {"step": 40, "loss": 1.0, "loss/t2m": 0.75, "loss/u10": 0.25, "lr": 0.2, "gradient_norm": 2.0},
]


@pytest.fixture
def run(small_dataset: Path, tmp_path: Path) -> Run:
    return create_run(tmp_path / "run", parse(Experiment, {"model": "persistence"}), open_dataset(small_dataset))


def test_every_kind_of_curve_has_its_panel() -> None:
    panels = {panel.title: panel.lines for panel in training_panels(METRICS)}
    assert panels["training loss"] == {"": [(20, 2.0), (40, 1.0)]}
    assert panels["training loss by variable"] == {"t2m": [(20, 1.5), (40, 0.75)], "u10": [(20, 0.5), (40, 0.25)]}
    assert panels["validation error by variable"] == {"t2m": [(20, 0.8)]}
    assert panels["learning rate"] == {"": [(20, 0.1), (40, 0.2)]}
    assert len(panels) == 6
    assert [panel.title for panel in training_panels(METRICS[1:2])] == [
        "validation error over the reference's",
        "validation error by variable",
    ]


@pytest.mark.parametrize(("name", "begins"), [("curves.png", b"\x89PNG"), ("curves.svg", b"<?xml")])
def test_the_picture_is_written(run: Run, tmp_path: Path, name: str, begins: bytes) -> None:
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in METRICS))
    plot_training(run.path, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert not list(tmp_path.glob("*.tmp"))


def test_what_cannot_be_drawn_is_refused(run: Run, tmp_path: Path, small_dataset: Path) -> None:
    with pytest.raises(MissingInputError, match="no metrics yet"):
        plot_training(run.path, tmp_path / "curves.png")
    (run.path / "metrics.jsonl").write_text(json.dumps(METRICS[0]) + "\n")
    with pytest.raises(UsageError, match="no kind of picture"):
        plot_training(run.path, tmp_path / "curves.doc")
    with pytest.raises(BadDataError, match="not a run"):
        plot_training(small_dataset, tmp_path / "curves.png")
