"""Skill while training: short rollouts on the validation part, against persistence, in physical units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from weatherml.data.known import KnownFields
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser
from weatherml.data.windows import covered, evenly
from weatherml.fields import Batch, Fields
from weatherml.losses.crps import almost_fair_crps
from weatherml.models.base import GenerativeModel, Model
from weatherml.nn.equalizer import Equalizer
from weatherml.run.experiment import Experiment
from weatherml.run.noise import MemberNoise
from weatherml.run.stepping import reach, roll
from weatherml.train.skill import Bands, Pause, Skill, no_pause

Array = npt.NDArray[Any]


class Validator:
    """Rolls a model out from fixed initial times of the validation part, with the same noise each time.

    Args:
        dataset: with a validation part.
        experiment: history, lead, batch.
        normaliser: on the device.
        known: on the same device.
        cases: initial times, spread evenly over the part.
        lead_steps: steps of each rollout, or as many as the part has room for.
        members: rollouts from each initial time.

    Raises:
        BadDataError: the part has no window of even one step, or external forcing covers none.
    """

    def __init__(
        self,
        dataset: Dataset,
        experiment: Experiment,
        normaliser: Normaliser,
        known: KnownFields,
        *,
        cases: int,
        lead_steps: int,
        members: int,
    ) -> None:
        room = len(dataset.part("validation")) - experiment.data.history
        self.steps = max(1, min(lead_steps, room))
        self.lead = experiment.data.lead
        self.members = members
        data = DataConfig(history=experiment.data.history, lead=self.steps, cache_gib=0)
        batch = max(1, experiment.train.batch // members)
        self.loader = Loader(dataset, "validation", data, normaliser=normaliser, known=known, batch=batch, seed=0)
        self.initial = evenly(covered(dataset, self.loader.initial, reach(self.steps, self.lead)), cases)

    @torch.no_grad()
    def __call__(self, model: Model, pause: Pause = no_pause) -> Skill:
        """The skill of a model in evaluation mode; `pause` is called before each batch, and may raise."""
        parts = np.array_split(self.initial, -(-len(self.initial) // self.loader.batch))
        equalizer = model.equalizer if isinstance(model, GenerativeModel) and self.members > 1 else None
        measured = [self._sums(model, part, pause, equalizer) for part in parts]
        sums, of_bands = (torch.cat(each) for each in zip(*measured, strict=True))
        error, persisted, rough, truly_rough, variance, squared_error = sums.sum(0)
        ratio = quotient(error, persisted)
        ratio = ratio if self.members > 1 else ratio.sqrt()
        decibels = (10 * quotient(rough, truly_rough).log10()).abs()
        return Skill(
            ratio=float(ratio.nanmean()),
            roughness_db=float(decibels[decibels.isfinite()].mean().nan_to_num()),
            by_variable=self._named(ratio),
            spread_skill=self._named(quotient(variance, squared_error).sqrt()) if self.members > 1 else {},
            spread_skill_error=self._named(jackknife_error(sums[:, 4:])) if self.members > 1 else {},
            bands=None if equalizer is None else band_skill(of_bands),
        )

    def _named(self, values: Tensor) -> dict[str, float]:
        """(steps, C) to the mean over steps by variable, where there is one."""
        named = zip(self.loader.dataset.names, values.nanmean(0).tolist(), strict=True)
        return {name: value for name, value in named if np.isfinite(value)}

    def _sums(
        self,
        model: Model,
        initial: np.ndarray[tuple[int], np.dtype[np.int64]],
        pause: Pause,
        equalizer: Equalizer | None,
    ) -> tuple[Tensor, Tensor]:
        """(B, 6, steps, C) sums over points, and (B, 2, bands, C) as of `band_dispersion`; no bands without equalizer.

        Errors of the model and of persistence, roughness of the forecasts and of the truth, and of several
        members the variance, times (M + 1) / M, and the squared error of their mean; of bands the last two.
        """
        pause()
        dataset, normaliser = self.loader.dataset, self.loader.normaliser
        batch = self.loader.cases(initial.tolist())
        assert batch.target is not None
        assert batch.mask is not None
        forecast = self._forecast(model, batch, dataset.times[initial])  # (B, M, steps, C, H, W)
        truth = normaliser.denormalise(batch.target)
        start = normaliser.denormalise(batch.history[:, -1:])
        rows = torch.as_tensor(dataset.grid.row_weights, dtype=truth.dtype, device=truth.device).view(-1, 1)
        weight = batch.mask * rows
        fields = (
            *errors(forecast, truth, start),
            roughness(forecast).mean(1),
            roughness(truth),
            *dispersion(forecast, truth),
        )
        sums = torch.stack([(field * weight).sum(dim=(3, 4)) for field in fields], dim=1)
        if equalizer is None:
            return sums, sums.new_zeros(len(sums), 2, 0, sums.shape[-1])
        return sums, band_dispersion(normaliser.normalise(forecast), batch.target, batch.mask, equalizer)

    def _forecast(self, model: Model, batch: Batch, init_times: Array) -> Fields:
        M, device = self.members, batch.history.device
        times = init_times.repeat(M)
        states = roll(
            model,
            batch.history.repeat_interleave(M, 0),
            times,
            step=self.loader.dataset.step,
            steps=self.steps,
            lead=self.lead,
            normaliser=self.loader.normaliser,
            known=self.loader.known,
            noise=MemberNoise(0, times, np.tile(np.arange(M), len(init_times)), device=device),
        )
        forecast = torch.stack(list(states), dim=1)
        return forecast.view(-1, M, *forecast.shape[1:])


def errors(forecast: Fields, truth: Fields, start: Fields) -> tuple[Fields, Fields]:
    """The error of (B, M, steps, C, H, W) members, and that of persistence from `start`, at each point.

    Squared errors of one member, the fair CRPS of several, beside which the absolute error of persistence stands.
    """
    if forecast.shape[1] == 1:
        return (forecast[:, 0] - truth) ** 2, (start - truth) ** 2
    return almost_fair_crps(forecast.unbind(1), truth, fair=1.0), (start - truth).abs()


def dispersion(forecast: Fields, truth: Fields) -> tuple[Fields, Fields]:
    """The variance of the members times (M + 1) / M, and the squared error of their mean; zeros of one member."""
    M, mean = forecast.shape[1], forecast.mean(1)
    variance = forecast.var(1) * ((M + 1) / M) if M > 1 else torch.zeros_like(truth)
    return variance, (mean - truth) ** 2


def band_dispersion(forecast: Fields, truth: Fields, mask: Tensor, equalizer: Equalizer) -> Tensor:
    """(B, 2, bands, C), sums over points and steps of what `dispersion` is of the bands of normalised fields.

    What is not known counts as right.
    """
    B, M, steps, C = forecast.shape[:4]
    mean = forecast.mean(1)
    apart = torch.where(mask[:, None], forecast - mean[:, None], 0.0)
    wrong = torch.where(mask, mean - truth, 0.0)
    variance = equalizer.power(apart.flatten(0, 2)).view(B, M, steps, -1, C).sum((1, 2)) * ((M + 1) / M / (M - 1))
    return torch.stack([variance, equalizer.power(wrong.flatten(0, 1)).view(B, steps, -1, C).sum(1)], 1)


def band_skill(sums: Tensor) -> Bands:
    """Of the sums (cases, 2, bands, C), variance and squared error."""
    variance, squared_error = sums.sum(0)
    return Bands(
        spread_skill=quotient(variance, squared_error).sqrt(),
        error=jackknife_error(sums).nan_to_num(torch.inf),
        share=(squared_error / squared_error.sum(0)).nan_to_num(0.0),
    )


def jackknife_error(sums: Tensor) -> Tensor:
    """The standard error of ln sqrt(a / b), (...), by leaving out each case of the sums (N, 2, ...), a and b.

    Few points of a heavy tail decide a ratio of squares, and other cases would have other ones. NaN of one case.
    """
    each = sums.double()
    variance, squared_error = (each.sum(0) - each).unbind(1)
    logs = 0.5 * quotient(variance, squared_error).log()
    return ((len(logs) - 1) * logs.var(0, correction=0)).sqrt().float()


def roughness(fields: Fields) -> Fields:
    """The squared differences of neighbours along x, 0 in the last column."""
    return functional.pad(fields.diff(dim=-1) ** 2, (0, 1))


def quotient(sums: Tensor, reference: Tensor) -> Tensor:
    """The ratio of sums; NaN where the reference is 0 and nothing can be compared."""
    return torch.where(reference > 0, sums / reference, torch.nan)
