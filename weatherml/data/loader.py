"""Batches for training: order, crops and augmentation are a pure function of (seed, step).

So a resumed run needs only its step. Packed integers go to the device; they are unpacked, transformed
and normalised there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt

from weatherml.config import Config
from weatherml.data.augment import check_crop, draw_box, flipped, noisy
from weatherml.data.known import KnownFields
from weatherml.data.reader import WHOLE, Box, WindowReader
from weatherml.data.store import Dataset, Part
from weatherml.data.transforms import Normaliser, delta_scale
from weatherml.data.windows import windows
from weatherml.fields import Batch

Array = npt.NDArray[Any]


class DataConfig(Config):
    """What a run trains on.

    Attributes:
        path: the dataset; None takes the newest.
        history: T, the states that enter the model.
        lead: L, the states that one call predicts.
        variables: channels by name, in order; None takes all.
        crop: rows and columns of a random crop; None trains on whole fields.
        flips: flip east-west and north-south at random, vector components negated as they must.
        noise: standard deviation of noise on the history, in units of a one-step change, of sequences in their own.
        balance: of classification and segmentation, the share of cases with a positive; None takes all as they come.
        epoch_cases: of sequences, cases of a pass at most.
        cache_gib: a dataset up to this size is kept in memory.
    """

    path: str | None = None
    history: PositiveInt = 1
    lead: PositiveInt = 1
    variables: tuple[str, ...] | None = None
    crop: tuple[PositiveInt, PositiveInt] | None = None
    flips: bool = False
    noise: NonNegativeFloat = 0.0
    balance: float | None = Field(None, gt=0, lt=1)
    epoch_cases: PositiveInt | None = None
    cache_gib: float = Field(2.0, ge=0)


class Loader:
    """Batches of one part of a dataset.

    Raises:
        ConfigError: a crop larger than the grid, or crops where rows have different areas.
        BadDataError: the part has no complete window.
    """

    def __init__(
        self,
        dataset: Dataset,
        part: Part,
        config: DataConfig,
        *,
        normaliser: Normaliser,
        known: KnownFields,
        batch: int,
        seed: int,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.normaliser = normaliser
        self.known = known
        self.batch = batch
        self.seed = seed
        check_crop(config.crop, dataset)  # before the dataset is read
        self.initial = windows(dataset, part, history=config.history, lead=config.lead)
        self.reader = WindowReader(dataset, cache_bytes=int(config.cache_gib * 2**30))
        scale = torch.tensor(delta_scale(dataset.statistics)).view(-1, 1, 1)
        self._noise_std = (config.noise * scale).to(normaliser.mean.device)

    def __len__(self) -> int:
        """Cases in the part."""
        return len(self.initial)

    def load(self, number: int) -> Batch:
        """Microbatch `number` of the run: cases, crop and augmentation follow from (seed, number)."""
        rng = np.random.default_rng([self.seed, 1, number])
        cases = [self.initial[case] for case in self.order(number)]
        batch = self.cases(cases, draw_box(rng, self.config.crop, self.dataset.grid.shape))
        if self.config.flips:
            batch = flipped(batch, self.dataset, rows=bool(rng.integers(2)), columns=bool(rng.integers(2)))
        return noisy(batch, self._noise_std, seed=[self.seed, 2, number]) if self.config.noise else batch

    def order(self, number: int) -> list[int]:
        """Positions of microbatch `number` in the shuffled passes over the part."""
        epochs, positions = np.divmod(np.arange(number * self.batch, (number + 1) * self.batch), len(self))
        passes = {epoch: self._pass(epoch) for epoch in np.unique(epochs)}
        return [int(passes[epoch][position]) for epoch, position in zip(epochs, positions, strict=True)]

    def cases(self, initial: Sequence[int], box: Box = WHOLE) -> Batch:
        """A batch of the windows at these initial times (indices of the dataset's times)."""
        T, L = self.config.history, self.config.lead
        packed = np.stack([self.reader.window(index - T + 1, T + L, box) for index in initial])
        times = np.stack([self.dataset.times[index + 1 : index + 1 + L] for index in initial])
        return assemble(packed, times, history=T, normaliser=self.normaliser, known=self.known, box=box)

    def _pass(self, epoch: int) -> Array:
        return np.random.default_rng([self.seed, 0, int(epoch)]).permutation(len(self))


def assemble(
    packed: Array, times: Array, *, history: int, normaliser: Normaliser, known: KnownFields, box: Box = WHOLE
) -> Batch:
    """A batch from packed windows.

    Args:
        packed: (B, T + L, C, H, W) int16.
        times: (B, L) datetime64, the valid times.
        history: T.
        normaliser: on the device where the batch is to be.
        known: known fields, on the same device.
        box: the rows and columns that `packed` holds.
    """
    B, L = times.shape
    device = normaliser.mean.device
    states = normaliser.normalise(normaliser.unpack(torch.from_numpy(packed).to(device, non_blocking=True)))
    there = torch.isfinite(states)
    states = torch.where(there, states, 0.0)
    forcing = known.at(times.ravel())[..., box[0], box[1]]
    return Batch(
        history=states[:, :history],
        target=states[:, history:],
        mask=there[:, history:] & there[:, history - 1 : history],
        forcing=forcing.reshape(B, L, *forcing.shape[1:]),
        static=known.static[:, box[0], box[1]],
        valid_time=torch.from_numpy(times.astype("datetime64[s]").astype(np.int64)).to(device),
    )


def prefetched(load: Any, numbers: Iterable[int], *, ahead: int = 2) -> Generator[Batch]:
    """`load(n)` for each number, read by a thread while the last batch is computed on."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as pool:
        waiting = []
        for number in numbers:
            waiting.append(pool.submit(load, number))
            if len(waiting) > ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
