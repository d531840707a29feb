"""What a run's training needs of its task: batches, a loss, and a measure of skill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from weatherml.data.external import with_forcing
from weatherml.data.known import KnownFields
from weatherml.data.likeliest import likeliest
from weatherml.data.loader import Loader
from weatherml.data.sequences.loader import SequenceLoader
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.data.stores import open_data
from weatherml.errors import BadDataError, ConfigError
from weatherml.fields import Batch, Fields
from weatherml.losses.base import LossModule, Weights
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.run.sequences import SequenceLineage
from weatherml.train.objective import build_loss, follow
from weatherml.train.sequence_skill import SequenceValidator
from weatherml.train.skill import Validate
from weatherml.train.validation import Validator


class Batches(Protocol):
    """Numbered batches of a training part."""

    def load(self, number: int) -> Batch:
        """Microbatch `number` of the run."""

    def __len__(self) -> int:
        """Cases of a pass."""


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What the trainer knows of a task.

    Attributes:
        loader: the training batches.
        loss: on the device.
        bounded: brings normalised states that are fed back within their valid ranges.
        validate: measures a model's skill; None where the validation part is too short.
        calibrator: measures the spread of a generative model; None for all others.
        everything: the whole training part as one batch, for models that are fitted and not trained.
    """

    loader: Batches
    loss: LossModule
    bounded: Callable[[Fields], Fields]
    validate: Validate | None
    calibrator: Validator | None = None
    everything: Callable[[], Batch] | None = None

    def objective(self, *, horizon: int, lead: int, pushforward: bool = False) -> Callable[..., Tensor]:
        """What a step minimises, from a model and `batch=`: see `follow`."""
        return partial(
            follow,
            loss=self.loss,
            horizon=horizon,
            lead=lead,
            bounded=self.bounded,
            members=self.loss.members,
            pushforward=pushforward,
        )


def open_selected(path: Path, experiment: Experiment) -> Dataset | SequenceDataset:
    """The dataset, narrowed to the experiment's variables and under its transforms, with its forcing beside it.

    Raises:
        ConfigError: forcing, storms or transforms that the dataset's task has no use for.
    """
    dataset, data = open_data(path), experiment.data
    if not isinstance(dataset, Dataset):
        for name in ("forcing", "storms", "transforms"):
            if getattr(data, name) is not None:
                raise ConfigError(f"data.{name}: is for forecasts, {path} for {dataset.task}; leave it out")
        return dataset
    narrowed = dataset.select(data.variables or dataset.names)
    narrowed = likeliest(narrowed) if data.transforms == "likeliest" else narrowed
    return narrowed if data.forcing is None else with_forcing(narrowed, Path(data.forcing))


def supply(run: Run, dataset: Dataset | SequenceDataset, device: torch.device) -> Supply:
    """What training of `run` on `dataset` needs."""
    return _sequences(run, dataset, device) if isinstance(dataset, SequenceDataset) else _forecast(run, dataset, device)


def _forecast(run: Run, dataset: Dataset, device: torch.device) -> Supply:
    experiment = run.experiment
    normaliser = run.normaliser(dataset.packings).to(device)
    known = KnownFields(dataset, device, names=run.forecast_lineage.forcing)
    data = experiment.data.model_copy(update={"lead": experiment.data.lead * experiment.train.horizon})
    train = experiment.train

    def validator(cases: int, lead_steps: int, members: int) -> Validator | None:
        sizes = {"cases": cases, "lead_steps": lead_steps, "members": members}
        try:
            return Validator(dataset, experiment, normaliser, known, **sizes)
        except BadDataError:
            return None  # the part is too short

    generative, config, fit = type(experiment.model).generative, train.validation, train.calibration
    return Supply(
        loader=Loader(dataset, "train", data, normaliser=normaliser, known=known, batch=train.batch, seed=train.seed),
        loss=build_loss(experiment, dataset, normaliser).to(device),
        bounded=normaliser.bounded,
        validate=validator(config.cases, config.lead_steps, config.members if generative else 1),
        calibrator=validator(fit.cases, fit.lead_steps, fit.members) if generative and fit.cases else None,
    )


def _sequences(run: Run, dataset: SequenceDataset, device: torch.device) -> Supply:
    experiment, lineage = run.experiment, run.lineage
    assert isinstance(lineage, SequenceLineage)
    inputs, targets = lineage.input_normaliser().to(device), lineage.target_normaliser().to(device)
    train = experiment.train

    def loader(part: str) -> SequenceLoader:
        sizes = {"batch": train.batch, "seed": train.seed}
        return SequenceLoader(dataset, part, experiment.data, inputs=inputs, targets=targets, **sizes)

    training = loader("train")
    weights = Weights(
        scale=torch.ones(len(dataset.targets)),
        variable=torch.ones(len(dataset.targets)),
        rows=torch.as_tensor(dataset.grid.row_weights, dtype=torch.float32),
    )
    loss = experiment.loss.build(weights).to(device)
    validated = len(dataset.samples("validation")) > 0
    return Supply(
        loader=training,
        loss=loss,
        bounded=_unbounded,
        validate=SequenceValidator(loader("validation"), loss, train.validation.cases) if validated else None,
        everything=lambda: training.cases(training.samples),
    )


def _unbounded(states: Tensor) -> Tensor:
    return states
