"""Predict the targets of sequences with a run: an emulated field, the probability of an event, a mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.sequences.loader import SequenceLoader
from weatherml.data.sequences.predictions import Predictions, write_predictions
from weatherml.data.sequences.store import BINARY, SequenceDataset
from weatherml.data.stores import open_data
from weatherml.data.windows import evenly
from weatherml.errors import BadDataError, ConfigError, UsageError
from weatherml.fields import Batch
from weatherml.files import output_lock, refuse_existing, require_free
from weatherml.models.base import Model
from weatherml.progress import Progress, silent
from weatherml.run.device import Device, natively_bf16, pick_device
from weatherml.run.directory import Run, open_run
from weatherml.run.sequences import SequenceLineage

Array = npt.NDArray[Any]
MOST_ATTENTIVE = 512
"""Positives over which attention is averaged, at most."""
HELD_OUT = ("validation", "test")
"""What is predicted unless told otherwise: thresholds and weights come from the first, scores from the second."""


@runtime_checkable
class Attentive(Protocol):
    """A model whose steps read from each other."""

    def attention_weights(self, batch: Batch) -> Tensor:
        """(B, S, S); ConfigError where it was built without."""


def predict(
    run: Path,
    data: Path,
    *,
    parts: Sequence[str] = HELD_OUT,
    output: Path,
    device: Device = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a run's predictions of some parts of a dataset to the NetCDF file `output`.

    Raises:
        MissingInputError: a run or dataset that is not there.
        UsageError: a run that forecasts, or an output that is not NetCDF.
        BadDataError: a dataset that the run's model cannot be used on, or whose parts are empty.
        OutputError: the output exists or is being written.
    """
    if output.suffix != ".nc":
        raise UsageError(f"{output}: predictions are one NetCDF file; give --output NAME.nc")
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        opened = open_run(run)
        dataset = matched(opened, data)
        require_free(output, len(dataset.targets) * dataset.times.size * int(np.prod(dataset.grid.shape)) * 4)
        write_predictions(output, predictions(opened, dataset, parts, device=device, progress=progress))
    return output


def matched(run: Run, data: Path) -> SequenceDataset:
    """The dataset at `data`, if the run's model can be used on it."""
    dataset = run.matched(open_data(data))
    if not isinstance(dataset, SequenceDataset):
        raise UsageError(f"{run.path}: its task is forecast; this is for runs on sequences")
    return dataset


@torch.inference_mode()
def predictions(
    run: Run, dataset: SequenceDataset, parts: Sequence[str], *, device: Device = "auto", progress: Progress = silent
) -> Predictions:
    """What a run says of every sample of some parts, in memory.

    Raises:
        BadDataError: none of the parts has a sample.
    """
    lineage = run.lineage
    assert isinstance(lineage, SequenceLineage)
    samples = np.concatenate([dataset.samples(part) for part in parts])
    if len(samples) == 0:
        raise BadDataError(f"{dataset.path}: no {' or '.join(parts)} sample; prepare it with another split")
    where = pick_device(device)
    model = run.load_model().to(where)
    filled = next(part for part in parts if len(dataset.samples(part)))
    loader = SequenceLoader(
        dataset,
        filled,  # it makes batches of the other parts' samples too
        run.experiment.data,
        inputs=lineage.input_normaliser().to(where),
        targets=lineage.target_normaliser().to(where),
        batch=run.experiment.train.batch,
        seed=0,
    )
    values = np.full((len(dataset.targets), *dataset.times.shape, *dataset.grid.shape), np.nan, np.float32)
    with torch.autocast(where.type, torch.bfloat16, enabled=natively_bf16(where)):
        for first in range(0, len(samples), loader.batch):
            chosen = samples[first : first + loader.batch]
            values[:, chosen[:, 0], chosen[:, 1]] = said(model, loader, chosen)
            progress(first + len(chosen), len(samples))
    return Predictions(
        task=dataset.task,
        grid=dataset.grid,
        series=dataset.series,
        times=dataset.times,
        targets=dataset.targets,
        values=dict(zip((target.name for target in dataset.targets), values, strict=True)),
        attributes={
            "run": run.path.resolve().name,
            "model": run.experiment.model.kind,
            "dataset": dataset.path.name,
            "parts": " ".join(parts),
        },
        attention=attention(model, loader, samples),
    )


def said(model: Model, loader: SequenceLoader, samples: Array) -> Array:
    """(V, B, H, W) of some samples: physical units, or probabilities."""
    output = model.step(loader.cases(samples)).float()
    values = output.sigmoid() if loader.dataset.task in BINARY else loader.targets.denormalise(output)
    return values[:, 0].transpose(0, 1).cpu().numpy()


def attention(model: Model, loader: SequenceLoader, samples: Array) -> Array | None:
    """(S, S), the mean attention over positives of the samples; None where there is none to tell of."""
    truth = loader.dataset.values[loader.dataset.targets[0].name]
    positive = samples[(truth[tuple(samples.T)] > 0.5).any(axis=(1, 2))]
    if not isinstance(model, Attentive) or len(positive) == 0:
        return None
    chosen = evenly(positive, MOST_ATTENTIVE)
    parts = [chosen[first : first + loader.batch] for first in range(0, len(chosen), loader.batch)]
    try:
        weights = [model.attention_weights(loader.cases(part)).float().sum(dim=0) for part in parts]
    except ConfigError:  # attention was switched off
        return None
    mean: Array = (torch.stack(weights).sum(dim=0) / len(chosen)).cpu().numpy()
    return mean
