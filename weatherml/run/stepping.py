"""One step of a forecast, the same in training, validation and rollout: predict, bound, feed back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.known import KnownFields
from weatherml.data.transforms import Normaliser
from weatherml.fields import Batch, Fields, Noise
from weatherml.models.base import Model
from weatherml.run.noise import MemberNoise

Array = npt.NDArray[Any]
Settle: TypeAlias = Callable[[Fields], tuple[Fields, Fields]]
"""A prediction, (B, L, C, H, W) normalised, to what a forecast gives out and to what it feeds back, normalised."""


def advance(model: Model, batch: Batch, settle: Settle, noise: Noise | None = None) -> tuple[Fields, Fields]:
    """One call of the model: what it gives out, and the history that the next call reads, the last T states."""
    given, fed_back = settle(model.step(batch, noise))
    T = batch.history.shape[1]
    return given, torch.cat([batch.history, fed_back], dim=1)[:, -T:]


def roll(
    model: Model,
    history: Fields,
    init_times: Array,
    *,
    step: np.timedelta64,
    steps: int,
    lead: int,
    normaliser: Normaliser,
    known: KnownFields,
    noise: MemberNoise | None = None,
    first: int = 0,
) -> Iterator[Fields]:
    """Step a model forward from B initial times, yielding (B, C, H, W) physical fields a lead at a time.

    Every state is brought within the variables' valid ranges before it is given out and fed back. To go on
    after `first` states is to give the last T of them, normalised, as history: the rest comes out the same.

    Args:
        model: in evaluation mode, on the device of the rest.
        history: (B, T, C, H, W) normalised, missing values 0.
        init_times: (B,) datetime64.
        step: the time step.
        steps: states of the whole forecast.
        lead: L, the states that one call of the model predicts.
        normaliser: to and from physical units.
        known: the known fields.
        noise: for models that draw noise; None draws from torch's global state.
        first: states that an earlier call yielded, a multiple of `lead`; `history` ends with the last of them.
    """

    def settle(prediction: Fields) -> tuple[Fields, Fields]:
        physical = normaliser.forecast(prediction)
        return physical, normaliser.normalise(physical)

    for done in range(first, steps, lead):
        valid = init_times[:, None] + step * np.arange(done + 1, done + lead + 1)
        batch = known_batch(history, valid, known, init_times)
        physical, history = advance(model, batch, settle, noise.at(done // lead) if noise else None)
        yield from physical.unbind(1)[: steps - done]


def known_batch(history: Fields, valid_times: Array, known: KnownFields, init_times: Array | None = None) -> Batch:
    """A batch without target: history and what is known at the (B, L) valid times, of forecasts from `init_times`."""
    B, L = valid_times.shape
    forcing = known.at(valid_times.ravel(), init_times=None if init_times is None else init_times.repeat(L))
    seconds = torch.from_numpy(valid_times.astype("datetime64[s]").astype(np.int64))
    return Batch(
        history=history,
        forcing=forcing.reshape(B, L, *forcing.shape[1:]),
        static=known.static,
        valid_time=seconds.to(history.device),
    )


def reach(steps: int, lead: int) -> int:
    """The steps that whole calls of a model go through, `lead` at a time, for `steps` of them."""
    return -(-steps // lead) * lead


def finite(fields: Fields) -> Tensor:
    """(B,) whether each case's (C, H, W) field is finite throughout."""
    return torch.isfinite(fields).flatten(1).all(dim=1)
