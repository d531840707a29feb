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
    marker = path / MARKER
    if marker.is_file() and read_json(marker).get("kind") == KIND:
        return open_sequences(path)
    return open_dataset(path)
