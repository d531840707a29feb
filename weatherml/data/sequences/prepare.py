"""Sequences from their source to a store: read, checked, written beside, renamed to their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weatherml.config import dump
from weatherml.data.manifest import manifest
from weatherml.data.opening import read_sequences
from weatherml.data.sequences.store import BINARY, KIND, SequenceDataset, open_sequences, write_sequences
from weatherml.data.store import write_marker
from weatherml.errors import BadDataError
from weatherml.files import (
    output_lock,
    partial_path,
    publish,
    refuse_existing,
    remove,
    require_free,
    write_json,
    write_text,
)
from weatherml.sources.sequences import PARTS, SequenceConfig, Sequences


def prepare_sequences(
    config: SequenceConfig, inputs: Sequence[str], output: Path, *, overwrite: bool = False
) -> SequenceDataset:
    """Read the sequences at `inputs` into a dataset at `output`.

    Raises:
        MissingInputError: no input.
        BadDataError: no training sample, labels outside 0 and 1, or no positive among the training samples.
        OutputError: the output exists or is being written.
        DiskError: too little room.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        found = read_sequences(config, inputs)
        check(found, ", ".join(inputs) or config.kind)
        partial = partial_path(output)
        remove(partial)
        require_free(partial, sum(values.nbytes for values in found.values.values()))
        write_sequences(partial, found, config.settings())
        write_json(partial / "manifest.json", {"inputs": manifest(found.files)})
        write_json(partial / "quality.json", quality(found))
        write_text(partial / "config.yaml", dump(config.settings()))
        write_marker(partial, KIND)
        publish(partial, output)
    return open_sequences(output)


def check(found: Sequences, at: str) -> None:
    """Raise BadDataError for samples that nothing can be learnt from."""
    if not (found.part == PARTS.index("train")).any():
        raise BadDataError(f"{at}: no training sample of {found.length} steps; give longer series or a shorter length")
    for variable in found.targets if found.task in BINARY else ():
        values = found.values[variable.name]
        known = values[np.isfinite(values)]
        if not np.isin(known, (0, 1)).all():
            wrong = known[~np.isin(known, (0, 1))][0]
            raise BadDataError(f"{at}: {variable.name} is {wrong:g} somewhere; labels are 0 or 1, or missing")


def quality(found: Sequences) -> dict[str, object]:
    """Samples by part, with the share of positives where the target is 0 or 1."""
    report: dict[str, object] = {"series": len(found.series), "notes": list(found.notes)}
    for number, part in enumerate(PARTS):
        chosen = found.part == number
        counts: dict[str, float] = {"samples": int(chosen.sum())}
        if found.task in BINARY:
            values = found.values[found.targets[0].name][chosen]
            counts["positive"] = int(np.nansum(values))
            counts["base_rate"] = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
        report[part] = counts
    return report
