"""What stands around training by the command line: a learning rate before it, curves after it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands import refused, wml

SMALL = (
    "--set",
    "model.base_features=8",
    "--set",
    "model.depth=1",
    "--set",
    "model.blocks=1",
    "--set",
    "train.batch=1",
)


def test_a_learning_rate_is_suggested_and_its_curve_kept(small_dataset: Path, tmp_path: Path) -> None:
    kept = tmp_path / "rate"
    code, out, err = wml("train", "--data", small_dataset, "--find-lr", "--run", kept, *SMALL)
    assert code == 0, err
    assert sorted(path.name for path in kept.iterdir()) == ["lr_finder.json", "lr_finder.png"]
    suggested = json.loads((kept / "lr_finder.json").read_text())["suggested"]
    assert out == f"train.lr: {suggested:.2g}\n"
    assert err.count("loss") >= 5


def test_training_curves_are_drawn(small_dataset: Path, tmp_path: Path) -> None:
    run, picture = tmp_path / "run", tmp_path / "curves.png"
    code, _, err = wml("train", "--data", small_dataset, "--run", run, "--steps", 2, *SMALL)
    assert code == 0, err
    code, out, _ = wml("inspect", run, "--plot", picture, "--json")
    assert code == 0
    assert json.loads(out)["is"] == "run"
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused(65, "not a run", "inspect", small_dataset, "--plot", picture)
