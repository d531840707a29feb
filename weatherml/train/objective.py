"""What a run minimises, and for how long."""

from __future__ import annotations

import torch

from weatherml.data.store import Dataset
from weatherml.data.transforms import delta_scale
from weatherml.errors import ConfigError
from weatherml.losses.base import LossModule, Weights
from weatherml.run.experiment import Experiment


def build_loss(experiment: Experiment, dataset: Dataset) -> LossModule:
    """The experiment's loss, weighted by one-step change, variable and area.

    Raises:
        ConfigError: a weight for a variable that the run does not have.
    """
    for name in experiment.variable_weights:
        if name not in dataset.names:
            raise ConfigError(f"variable_weights.{name}: the run has {', '.join(dataset.names)}")
    named = torch.tensor([experiment.variable_weights.get(name, 1.0) for name in dataset.names])
    rows = torch.as_tensor(dataset.grid.row_weights, dtype=torch.float32)
    rows = rows[: experiment.data.crop[0]] if experiment.data.crop else rows
    return experiment.loss.build(
        Weights(scale=torch.tensor(delta_scale(dataset.statistics)), variable=named / named.mean(), rows=rows)
    )


def total_steps(experiment: Experiment, cases: int) -> int:
    """Optimizer steps of the whole run."""
    config = experiment.train
    if config.epochs is None:
        return config.steps
    return max(1, round(config.epochs * cases / (config.batch * config.accumulate)))
