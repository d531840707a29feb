"""Runs of models that take no optimizer's steps: they learn in one go, or have nothing to learn."""

from __future__ import annotations

import torch

from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.errors import ConfigError
from weatherml.models.base import FittedModel
from weatherml.run.directory import Run
from weatherml.train.record import Record
from weatherml.train.supply import supply


def fit(run: Run, dataset: Dataset | SequenceDataset, device: torch.device, record: Record) -> None:
    """Fit, keep as the best, and validate.

    Raises:
        ConfigError: the model is fitted to all training samples at once, and the task's are too many.
    """
    given, model = supply(run, dataset, device), run.build_model().to(device)
    record.status(state="running", steps=0, step=0, error=None)
    record.rewind(0, measured=True)
    if isinstance(model, FittedModel):
        if given.everything is None:
            raise ConfigError(f"model.kind: {run.experiment.model.kind} does not forecast; take another")
        model.fit(given.everything())
    record.save_best(0, model)
    skill = given.validate(model.eval()) if given.validate else None
    if skill is not None:
        record.write(0, skill.values())
    record.finished(0, skill)
