"""Batches of sequences: order and balance are a pure function of (seed, step)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.augment import noisy
from weatherml.data.loader import DataConfig
from weatherml.data.packing import Packing
from weatherml.data.sequences.store import BINARY, SequenceDataset
from weatherml.data.statistics import Statistics
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError
from weatherml.fields import Batch
from weatherml.variables import Variable

Array = npt.NDArray[Any]
AS_IT_IS = Packing(scale_factor=1.0, add_offset=0.0)


def normaliser(variables: tuple[Variable, ...], statistics: Statistics) -> Normaliser:
    """Between physical and normalised values of variables that are stored as they are."""
    return Normaliser(variables, [AS_IT_IS] * len(variables), statistics)


class SequenceLoader:
    """Batches of one part of a dataset of sequences.

    Args:
        dataset: of sequences.
        part: `train`, `validation` or `test`.
        config: `flips`, `noise`, `balance` and `epoch_cases` are read; the noise is in standard deviations.
        inputs: normalises the inputs, on the device.
        targets: normalises the targets, on the device.
        batch: cases in a batch.
        seed: of the order.

    Raises:
        BadDataError: the part has no sample, or balance is asked for and none is positive.
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        part: str,
        config: DataConfig,
        *,
        inputs: Normaliser,
        targets: Normaliser,
        batch: int,
        seed: int,
    ) -> None:
        self.dataset, self.config = dataset, config
        self.inputs, self.targets, self.batch, self.seed = inputs, targets, batch, seed
        self.samples = dataset.samples(part)
        if len(self.samples) == 0:
            raise BadDataError(f"{dataset.path}: no {part} sample; prepare it with another split")
        self._history, self._target = dataset.stacked_inputs, dataset.stacked_targets
        positive = self.positive()
        if part == "train" and dataset.task in BINARY and not positive.any():
            raise BadDataError(
                f"{dataset.path}: 0 of {len(self.samples)} training samples hold a positive; a classifier would learn "
                "to say no: prepare more data, or another label"
            )
        self._noise_std = torch.full((len(dataset.inputs), 1, 1), config.noise, device=inputs.mean.device)
        self._pools = np.flatnonzero(positive), np.flatnonzero(~positive)

    def __len__(self) -> int:
        """Cases of a pass."""
        return min(len(self.samples), self.config.epoch_cases or len(self.samples))

    def positive(self) -> Array:
        """(n,) bool: the samples that hold a positive."""
        series, target = self.samples.T
        return np.asarray((self._target[series, target] > 0.5).any(axis=(1, 2, 3)))

    def load(self, number: int) -> Batch:
        """Microbatch `number` of the run: cases and flips follow from (seed, number)."""
        batch = self.cases(self.samples[self.order(number)])
        rng = np.random.default_rng([self.seed, 1, number])
        dims = [dim for dim in (-2, -1) if self.config.flips and rng.integers(2)]
        batch = batch.map(lambda tensor: tensor.flip(dims) if tensor.ndim == 5 else tensor) if dims else batch
        return noisy(batch, self._noise_std, seed=[self.seed, 2, number]) if self.config.noise else batch

    def order(self, number: int) -> Array:
        """Positions of microbatch `number` in the shuffled passes; with `balance`, of shuffled positives and others."""
        first = number * self.batch
        if self.config.balance is None:
            return self._drawn(np.arange(len(self.samples)), first, self.batch, stream=0)
        count = np.floor(np.arange(first, first + self.batch + 1) * self.config.balance).astype(int)
        is_positive = np.diff(count) > 0
        chosen = np.empty(self.batch, dtype=np.int64)
        chosen[is_positive] = self._drawn(self._pools[0], count[0], int(is_positive.sum()), stream=3)
        chosen[~is_positive] = self._drawn(self._pools[1], first - count[0], int((~is_positive).sum()), stream=4)
        return chosen

    def _drawn(self, pool: Array, first: int, count: int, *, stream: int) -> Array:
        """Entries first to first + count of endless shuffled passes over the pool."""
        passes, positions = np.divmod(np.arange(first, first + count), len(pool))
        shuffled = {p: np.random.default_rng([self.seed, stream, int(p)]).permutation(pool) for p in np.unique(passes)}
        return np.array([shuffled[p][position] for p, position in zip(passes, positions, strict=True)], dtype=np.int64)

    def cases(self, samples: Array) -> Batch:
        """A batch of samples, (B, 2) series and time of the target; missing inputs are 0, the training mean."""
        windows = [self._history[series, self.dataset.window(target)] for series, target in samples]
        series, target = samples.T
        history = self._normalised(np.stack(windows), self.inputs)
        wanted = self._normalised(self._target[series, target][:, None], self.targets)
        seconds = self.dataset.times[series, target].astype("datetime64[s]").astype(np.int64)
        known = wanted.isfinite()
        B, height, width = len(samples), *self.dataset.grid.shape
        return Batch(
            history=torch.where(history.isfinite(), history, 0.0),
            target=torch.where(known, wanted, 0.0),
            mask=known,
            forcing=history.new_zeros(B, 1, 0, height, width),
            static=history.new_zeros(0, height, width),
            valid_time=torch.from_numpy(seconds).view(B, 1).to(history.device),
        )

    @staticmethod
    def _normalised(values: Array, by: Normaliser) -> Tensor:
        return by.normalise(torch.from_numpy(values).to(by.mean.device, non_blocking=True))
