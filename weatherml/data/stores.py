"""A dataset of either kind, opened by what it says of itself."""

from __future__ import annotations

from pathlib import Path

from weatherml.data.sequences.store import KIND, SequenceDataset, open_sequences
from weatherml.data.store import MARKER, Dataset, open_dataset
from weatherml.files import read_json


def open_data(path: Path) -> Dataset | SequenceDataset:
    """Open what `wml prepare` finished at `path`.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished or damaged.
    """
    return open_sequences(path) if holds_sequences(path) else open_dataset(path)


def holds_sequences(path: Path) -> bool:
    """Whether a dataset is one of sequences; what is not there, or not a dataset, is for its reader to refuse."""
    marker = path / MARKER
    return marker.is_file() and read_json(marker).get("kind") == KIND
