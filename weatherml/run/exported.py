"""A run directory as one file, with what its data say of the grid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from weatherml.data.known import static_fields
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.data.stores import open_data
from weatherml.errors import BadDataError, UsageError
from weatherml.run.bundle import GRID, STATIC, STATISTICS, SUFFIX, WEIGHTS, Bundle, Tensors, write_bundle
from weatherml.run.directory import BundledRun, Run, open_run

logger = logging.getLogger(__name__)


def export_bundle(run: Path, output: Path, *, data: Path | None = None, overwrite: bool = False) -> Path:
    """Write the run at `run` into the one file `output`: what inference needs, and nothing of its training.

    Args:
        run: a run directory.
        output: `NAME.safetensors`.
        data: the run's dataset, for the coordinates of its grid and its static fields; None takes the one that
            it was trained on, and goes without where that is not there any more.
        overwrite: replace the output if it exists.

    Raises:
        MissingInputError: nothing was saved yet, or no such run or dataset.
        BadDataError: a dataset on another grid, or weights of another configuration.
        UsageError: a run that is a bundle already, or an output of another suffix.
        OutputError: the output exists or is being written.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: a bundle is a safetensors file; give --output NAME{SUFFIX}")
    opened = open_run(run)
    if isinstance(opened, BundledRun):
        raise UsageError(f"{run}: a bundle already; copy it")
    write_bundle(output, bundle_of(opened, dataset_of(opened, data)), overwrite=overwrite)
    return output


def bundle_of(run: Run, dataset: Dataset | SequenceDataset | None) -> Bundle:
    """What a run's bundle holds; with a dataset also where the points of the grid lie."""
    saved = run.best() if run.learns else None
    lineage = run.lineage.settings()
    statistics = lineage.pop("statistics")
    fit = run.calibration()
    document = {
        "weatherml": version("weatherml"),
        "task": run.lineage.task,
        "model": run.experiment.model.kind,
        "step": saved.step if saved else 0,
        "configuration": run.experiment.settings(),
        "data": lineage | {"task": run.lineage.task},
        "status": run.status(),
        "calibration": fit.settings() if fit else None,
        "grid": {"kind": dataset.grid.kind, "mapping": dataset.grid.mapping} if dataset else None,
    }
    tensors = _named(STATISTICS, {name: torch.tensor(row, dtype=torch.float64) for name, row in statistics.items()})
    tensors |= _named(WEIGHTS, run.weights() if saved else {})
    return Bundle(document=document, tensors=tensors | (_geometry(dataset) if dataset else {}))


def dataset_of(run: Run, data: Path | None) -> Dataset | SequenceDataset | None:
    """The run's dataset; None, with a warning, where none is named and the run's own is not there any more.

    Raises:
        MissingInputError: none at `data`.
        BadDataError: one on another grid at `data`.
    """
    own, wanted = Path(run.lineage.dataset), run.lineage.grid
    found = open_data(data or own) if data or own.exists() else None
    if found and found.grid.digest == wanted:
        return found
    if data and found:
        raise BadDataError(f"{data}: grid is {found.grid.digest}, the run was trained on {wanted}; use its data")
    logger.warning(
        "%s: no dataset on the run's grid; the file goes without coordinates and static fields, --data names another",
        own,
    )
    return None


def _geometry(dataset: Dataset | SequenceDataset) -> Tensors:
    """The axes' coordinates, and a forecast's static fields as its model reads them."""
    axes = zip(dataset.grid.dims, (dataset.grid.y, dataset.grid.x), strict=True)
    found = {GRID + name: torch.as_tensor(axis, dtype=torch.float64) for name, axis in axes}
    if isinstance(dataset, Dataset):
        found[STATIC] = static_fields(dataset.static, dataset.grid)
    return found


def _named(prefix: str, tensors: Mapping[str, Any]) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}
