"""Skill while training: short rollouts on the validation part, against persistence, in physical units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from weatherml.data.known import KnownFields
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError
from weatherml.models.base import Model
from weatherml.run.experiment import Experiment
from weatherml.run.stepping import roll


@dataclass(frozen=True, kw_only=True)
class Skill:
    """RMSE of the forecast over that of persistence; below 1 is skill.

    Attributes:
        ratio: mean over variables and leads.
        by_variable: mean over leads.
    """

    ratio: float
    by_variable: dict[str, float]


class Validator:
    """Rolls a model out from fixed initial times of the validation part.

    Raises:
        BadDataError: the part has no window of even one step.
    """

    def __init__(self, dataset: Dataset, experiment: Experiment, normaliser: Normaliser, known: KnownFields) -> None:
        config = experiment.train.validation
        room = len(dataset.part("validation")) - experiment.data.history
        self.steps = max(1, min(config.lead_steps, room))
        self.lead = experiment.data.lead
        data = DataConfig(history=experiment.data.history, lead=self.steps, cache_gib=0)
        self.loader = Loader(
            dataset, "validation", data, normaliser=normaliser, known=known, batch=experiment.train.batch, seed=0
        )
        spread = np.linspace(0, len(self.loader) - 1, min(config.cases, len(self.loader))).round().astype(int)
        self.initial = self.loader.initial[np.unique(spread)]

    @torch.no_grad()
    def __call__(self, model: Model) -> Skill:
        """The skill of a model in evaluation mode."""
        sums = [self._squared_errors(model, case) for case in np.array_split(self.initial, self._batches)]
        ours, theirs = (torch.stack(each).sum(0).sqrt() for each in zip(*sums, strict=True))
        ratio = torch.where(theirs > 0, ours / theirs, torch.nan)  # (steps, C); nothing to beat where nothing changed
        by_variable = dict(zip(self.loader.dataset.names, ratio.nanmean(0).tolist(), strict=True))
        known = {name: value for name, value in by_variable.items() if np.isfinite(value)}
        return Skill(ratio=float(ratio.nanmean()), by_variable=known)

    @property
    def _batches(self) -> int:
        return -(-len(self.initial) // self.loader.batch)

    def _squared_errors(
        self, model: Model, initial: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over cases and points, (steps, C), of the model's and of persistence's squared errors."""
        dataset, normaliser = self.loader.dataset, self.loader.normaliser
        batch = self.loader.cases(initial.tolist())
        assert batch.target is not None
        assert batch.mask is not None
        truth = normaliser.denormalise(batch.target)
        start = normaliser.denormalise(batch.history[:, -1:])
        forecast = torch.stack(
            list(
                roll(
                    model,
                    batch.history,
                    dataset.times[initial],
                    step=dataset.step,
                    steps=self.steps,
                    lead=self.lead,
                    normaliser=normaliser,
                    known=self.loader.known,
                )
            ),
            dim=1,
        )
        rows = torch.as_tensor(dataset.grid.row_weights, dtype=truth.dtype, device=truth.device).view(-1, 1)
        weight = batch.mask * rows
        ours, theirs = (((each - truth) ** 2 * weight).sum(dim=(0, 3, 4)) for each in (forecast, start))
        return ours, theirs


def validator(dataset: Dataset, experiment: Experiment, normaliser: Normaliser, known: KnownFields) -> Validator | None:
    """A validator, or None where the validation part is too short for one."""
    try:
        return Validator(dataset, experiment, normaliser, known)
    except BadDataError:
        return None
