"""Predictions of known quality for the toy series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.sequences.toy import Toy, ToyEvent, ToyMask
from weatherml.data.sequences.predictions import Predictions, write_predictions
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import SequenceDataset

Predict = Callable[..., Path]
TOYS = {"emulate": Toy(), "segment": ToyMask(base_rate=0.1), "classify": ToyEvent(size=1, base_rate=0.2)}


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SequenceDataset]:
    folder = tmp_path_factory.mktemp("toys")
    return {task: prepare_sequences(toy, [], folder / f"{task}.zarr") for task, toy in TOYS.items()}


def noisy(dataset: SequenceDataset, noise: float) -> np.ndarray:
    """The truth with noise, as fields or as probabilities."""
    values = dataset.values["target"]
    drawn = noise * np.random.default_rng(1).standard_normal(values.shape)
    return values + drawn if dataset.task == "emulate" else 1 / (1 + np.exp(-(4 * values - 2 + drawn)))


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    """Write predictions of a dataset's validation and test parts; `changes` replace what the file holds."""

    def write(dataset: SequenceDataset, name: str = "ours", *, noise: float = 1.0, **changes: object) -> Path:
        values = np.where((dataset.part > 0)[..., None, None], noisy(dataset, noise), np.nan)
        held = {name: getattr(dataset, name) for name in ("task", "grid", "series", "times", "targets")}
        write_predictions(
            tmp_path / f"{name}.nc",
            Predictions(**held | {"values": {"target": values}} | changes),  # type: ignore[arg-type]
        )
        return tmp_path / f"{name}.nc"

    return write
