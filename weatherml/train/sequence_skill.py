"""Skill on sequences while training: the loss over that of a constant guess."""

from __future__ import annotations

import torch
from torch import Tensor

from weatherml.data.sequences.loader import SequenceLoader
from weatherml.data.sequences.store import BINARY
from weatherml.data.windows import evenly
from weatherml.losses.base import LossModule
from weatherml.models.base import Model
from weatherml.train.skill import Pause, Skill, no_pause


class SequenceValidator:
    """Measures a model on samples of the validation part.

    The error of an emulator is the RMSE of each target, over that of the training mean; that of a classifier or a
    segmenter the loss it is trained on, over that of saying the training part's share of positives everywhere.

    Args:
        loader: of the validation part.
        loss: the training loss.
        cases: samples, spread evenly over the part.
    """

    def __init__(self, loader: SequenceLoader, loss: LossModule, cases: int) -> None:
        self.loader, self.loss = loader, loss
        self.samples = evenly(loader.samples, cases)
        self.binary = loader.dataset.task in BINARY
        self.guess = self._base_rate() if self.binary else torch.zeros(())

    @torch.no_grad()
    def __call__(self, model: Model, pause: Pause = no_pause) -> Skill:
        """The skill of a model in evaluation mode; `pause` is called before each batch, and may raise."""
        size = self.loader.batch
        parts = [self.samples[first : first + size] for first in range(0, len(self.samples), size)]
        error, guessed = torch.stack([self._sums(model, part, pause) for part in parts]).sum(0)
        ratio = torch.where(guessed > 0, error / guessed, torch.nan)
        ratio = ratio if self.binary else ratio.sqrt()
        names = [variable.name for variable in self.loader.dataset.targets]
        return Skill(
            ratio=float(ratio.nanmean()),
            by_variable=dict(zip(names, ratio.tolist(), strict=True)),
            reference="the base rate" if self.binary else "the training mean",
        )

    def _sums(self, model: Model, samples: object, pause: Pause) -> Tensor:
        """(2, V): errors of the model and of the constant guess, summed over cases and points."""
        pause()
        batch = self.loader.cases(samples)  # type: ignore[arg-type]
        assert batch.target is not None
        assert batch.mask is not None
        prediction = model(batch).float()
        guess = self.guess.expand_as(batch.target)
        return torch.stack([self._error(values, batch.target, batch.mask) for values in (prediction, guess)])

    def _error(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """(V,), a sum over cases."""
        if self.binary:
            loss: Tensor = self.loss(prediction, target, mask)
            return len(target) * loss.view(1)
        return ((prediction - target).square() * mask * self.loss.rows).sum(dim=(0, 1, 3, 4))

    def _base_rate(self) -> Tensor:
        """The logit of the share of positives in the training part."""
        dataset = self.loader.dataset
        series, target = dataset.samples("train").T
        values = torch.from_numpy(dataset.values[dataset.targets[0].name][series, target])
        return torch.logit(values.nanmean().clamp(1e-6, 1 - 1e-6)).to(self.loss.rows.device)
