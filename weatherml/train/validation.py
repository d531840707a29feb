"""Skill while training: short rollouts on the validation part, against persistence, in physical units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weatherml.data.known import KnownFields
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError
from weatherml.fields import Fields
from weatherml.models.base import Model
from weatherml.run.experiment import Experiment
from weatherml.run.stepping import roll


@dataclass(frozen=True, kw_only=True)
class Skill:
    """How good short rollouts are.

    Attributes:
        ratio: RMSE over that of persistence, mean over variables and leads; below 1 is skill.
        roughness_db: how far the forecasts' power at the grid's scale is from the truth's, mean of |10 log10|:
            blurring a forecast lowers its RMSE, and this tells.
        by_variable: the RMSE ratio, mean over leads.
    """

    ratio: float
    roughness_db: float
    by_variable: dict[str, float]

    @property
    def score(self) -> float:
        """What the best checkpoint has least of: the RMSE ratio, a tenth worse for each dB of roughness."""
        return self.ratio * (1 + self.roughness_db / 10)


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
        parts = np.array_split(self.initial, -(-len(self.initial) // self.loader.batch))
        error, persisted, rough, truly_rough = torch.stack([self._sums(model, part) for part in parts]).sum(0)
        ratio = quotient(error, persisted).sqrt()
        decibels = (10 * quotient(rough, truly_rough).log10()).abs()
        by_variable = dict(zip(self.loader.dataset.names, ratio.nanmean(0).tolist(), strict=True))
        return Skill(
            ratio=float(ratio.nanmean()),
            roughness_db=float(decibels[decibels.isfinite()].mean().nan_to_num()),
            by_variable={name: value for name, value in by_variable.items() if np.isfinite(value)},
        )

    def _sums(self, model: Model, initial: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        """(4, steps, C) sums over cases and points: squared errors of model and persistence, roughness, the truth's."""
        dataset, normaliser = self.loader.dataset, self.loader.normaliser
        batch = self.loader.cases(initial.tolist())
        assert batch.target is not None
        assert batch.mask is not None
        states = roll(
            model,
            batch.history,
            dataset.times[initial],
            step=dataset.step,
            steps=self.steps,
            lead=self.lead,
            normaliser=normaliser,
            known=self.loader.known,
        )
        forecast = torch.stack(list(states), dim=1)
        truth = normaliser.denormalise(batch.target)
        start = normaliser.denormalise(batch.history[:, -1:])
        rows = torch.as_tensor(dataset.grid.row_weights, dtype=truth.dtype, device=truth.device).view(-1, 1)
        weight = batch.mask * rows
        fields = ((forecast - truth) ** 2, (start - truth) ** 2, roughness(forecast), roughness(truth))
        return torch.stack([(field * weight).sum(dim=(0, 3, 4)) for field in fields])


def roughness(fields: Fields) -> Fields:
    """The squared differences of neighbours along x, 0 in the last column."""
    return functional.pad(fields.diff(dim=-1) ** 2, (0, 1))


def quotient(sums: Tensor, reference: Tensor) -> Tensor:
    """The ratio of sums; NaN where the reference is 0 and nothing can be compared."""
    return torch.where(reference > 0, sums / reference, torch.nan)


def validator(dataset: Dataset, experiment: Experiment, normaliser: Normaliser, known: KnownFields) -> Validator | None:
    """A validator, or None where the validation part is too short for one."""
    try:
        return Validator(dataset, experiment, normaliser, known)
    except BadDataError:
        return None
