"""Batches for training: order, crops and augmentation are a pure function of (seed, step).

So a resumed run needs only its step. Packed integers go to the device; they are unpacked, transformed
and normalised there, by one look-up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from weatherml.config import Config
from weatherml.data.augment import check_crop, draw_box, flipped, noisy
from weatherml.data.chunks import WHOLE, Box, extent
from weatherml.data.known import KnownFields
from weatherml.data.reader import WindowReader
from weatherml.data.sampling import Storms, a_pass, case_probabilities, importance
from weatherml.data.staging import Staging
from weatherml.data.store import Dataset, Part
from weatherml.data.transforms import Normaliser, delta_scale, looked_up, lookup_tables
from weatherml.data.windows import windows
from weatherml.fields import Batch

Array = npt.NDArray[Any]
Item = TypeVar("Item")
READERS = 2
"""Threads: decompression and look-up let others run, and a batch for each of them is in memory."""


class DataConfig(Config):
    """What a run trains on.

    Attributes:
        path: the dataset; None takes the newest.
        forcing: a dataset on a grid of its own, whose fields at the valid times stand beside the known ones.
        history: T, the states that enter the model.
        lead: L, the states that one call predicts.
        variables: channels by name, in order; None takes all.
        crop: rows and columns of a random crop; None trains on whole fields.
        flips: flip east-west and north-south at random, vector components negated as they must.
        noise: standard deviation of noise on the history, in units of a one-step change, of sequences in their own.
        transforms: `likeliest` takes for what is skewed the transform that its next states are likeliest under (see
            `weatherml.data.likeliest`); None that of the dataset.
        gap: sets what is at a bound (no rain, no echo) off from the rest, in standard deviations; see `tie`.
        balance: of classification and segmentation, the share of cases with a positive; None takes all as they come.
        storms: draws cases with convection oftener, and weighs them down in the loss; None takes all alike.
        epoch_cases: of sequences, cases of a pass at most.
        cache_gib: a dataset up to this size is kept in memory.
    """

    path: str | None = None
    forcing: str | None = None
    history: PositiveInt = 1
    lead: PositiveInt = 1
    variables: tuple[str, ...] | None = None
    crop: tuple[PositiveInt, PositiveInt] | None = None
    flips: bool = False
    noise: NonNegativeFloat = 0.0
    transforms: Literal["likeliest"] | None = None
    gap: NonNegativeFloat = 0.0
    balance: float | None = Field(None, gt=0, lt=1)
    storms: Storms | None = None
    epoch_cases: PositiveInt | None = None
    cache_gib: float = Field(2.0, ge=0)


class Loader:
    """Batches of one part of a dataset.

    Raises:
        ConfigError: a crop larger than the grid, crops where rows have different areas, or storms where there are none.
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
        self.tables = lookup_tables(normaliser)
        self.known = known
        self.batch = batch
        self.seed = seed
        check_crop(config.crop, dataset)  # before the dataset is read
        self.initial = windows(dataset, part, history=config.history, lead=config.lead)
        self.probabilities = (
            None if config.storms is None else case_probabilities(config.storms, dataset, self.initial, config.lead)
        )
        self.reader = WindowReader(dataset, cache_bytes=int(config.cache_gib * 2**30))
        self.staging = Staging(self.tables.device)
        scale = torch.tensor(delta_scale(dataset.statistics)).view(-1, 1, 1)
        self._noise_std = (config.noise * scale).to(normaliser.mean.device)

    def __len__(self) -> int:
        """Cases in the part."""
        return len(self.initial)

    def load(self, number: int) -> Batch:
        """Microbatch `number` of the run: cases, crop and augmentation follow from (seed, number)."""
        rng = np.random.default_rng([self.seed, 1, number])
        order = self.order(number)
        batch = self.cases(self.initial[order], draw_box(rng, self.config.crop, self.dataset.grid.shape))
        if self.probabilities is not None:
            weight = torch.from_numpy(importance(self.probabilities, np.array(order))).float()
            batch = replace(batch, weight=weight.to(self.tables.device))
        if self.config.flips:
            batch = flipped(batch, self.dataset, rows=bool(rng.integers(2)), columns=bool(rng.integers(2)))
        return noisy(batch, self._noise_std, seed=[self.seed, 2, number]) if self.config.noise else batch

    def order(self, number: int) -> list[int]:
        """Positions of microbatch `number` in the shuffled passes over the part."""
        epochs, positions = np.divmod(np.arange(number * self.batch, (number + 1) * self.batch), len(self))
        passes = {epoch: self._pass(epoch) for epoch in np.unique(epochs)}
        return [int(passes[epoch][position]) for epoch, position in zip(epochs, positions, strict=True)]

    def cases(self, initial: Sequence[int] | Array, box: Box = WHOLE) -> Batch:
        """A batch of the windows at these initial times (indices of the dataset's times)."""
        T, L = self.config.history, self.config.lead
        shape = (len(initial), T + L, len(self.dataset.names), *extent(box, self.dataset.grid.shape))
        times = np.stack([self.dataset.times[index + 1 : index + 1 + L] for index in initial])
        with self.staging.lent(shape) as packed:
            for index, window in zip(initial, packed.numpy(), strict=True):
                self.reader.window(index - T + 1, T + L, box, out=window)
            return assemble(packed, times, history=T, tables=self.tables, known=self.known, box=box)

    def _pass(self, epoch: int) -> Array:
        return a_pass(len(self), self.probabilities, np.random.default_rng([self.seed, 0, int(epoch)]))


def assemble(
    packed: Tensor, times: Array, *, history: int, tables: Tensor, known: KnownFields, box: Box = WHOLE
) -> Batch:
    """A batch from packed windows.

    Args:
        packed: (B, T + L, C, H, W) int16, on the device or in pinned memory.
        times: (B, L) datetime64, the valid times.
        history: T.
        tables: see `lookup_tables`, on the device where the batch is to be.
        known: known fields, on the same device.
        box: the rows and columns that `packed` holds.
    """
    B, L = times.shape
    states, there = looked_up(tables, packed.to(tables.device, non_blocking=True))
    forcing = known.at(times.ravel(), box)
    return Batch(
        history=states[:, :history],
        target=states[:, history:],
        mask=there[:, history:] & there[:, history - 1 : history],
        forcing=forcing.view(B, L, *forcing.shape[1:]),
        static=known.static[:, box[0], box[1]],
        valid_time=torch.from_numpy(times.astype("datetime64[s]").astype(np.int64)).to(tables.device),
    )


def prefetched(load: Callable[[int], Item], numbers: Iterable[int], *, threads: int = READERS) -> Generator[Item]:
    """`load(n)` for each number, in order, read by threads while the last batch is computed on.

    A reader's tensors are its own work: with a team of OpenMP's for each reader there would be more threads than cores,
    all of them would sleep between any two operations, and a step on two cores would take twice as long.

    As many batches as threads are ahead. What a thread raises is raised here when its turn comes; then, and when the
    generator is closed, what has not begun is dropped and what has is waited for.
    """
    torch.get_num_threads()  # settles the caller's before a reader sets its own
    pool = ThreadPoolExecutor(threads, "loader", initializer=torch.set_num_threads, initargs=(1,))
    waiting = deque[Future[Item]]()
    try:
        for number in numbers:
            waiting.append(pool.submit(load, number))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
