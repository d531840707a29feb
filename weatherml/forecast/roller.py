"""A run, ready to step forward from times of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.known import KnownFields
from weatherml.data.reader import WindowReader
from weatherml.data.store import Dataset
from weatherml.fields import Fields
from weatherml.models.base import Model
from weatherml.nn.unet import set_tiling
from weatherml.run.device import memory_format, natively_bf16
from weatherml.run.directory import Run
from weatherml.run.noise import MemberNoise
from weatherml.run.stepping import known_batch, roll

Array = npt.NDArray[Any]


class Roller:
    """Steps a run's model on a device; physical fields go in and come out.

    Args:
        run: for its normalisation and history.
        dataset: narrowed to the run's channels.
        model: the run's, in evaluation mode.
        device: where to compute.
        tile: points to a side of the tiles in which the network works; None takes the domain whole.

    Raises:
        ConfigError: a network that cannot work in tiles.
    """

    def __init__(
        self, run: Run, dataset: Dataset, model: Model, device: torch.device, *, tile: int | None = None
    ) -> None:
        if tile is not None:
            set_tiling(model, tile)
        self.dataset = dataset
        self.data = run.experiment.data
        moved: Any = model
        self.model: Model = moved.to(device, memory_format=memory_format(device))
        self.device = device
        self.normaliser = run.normaliser(dataset.packings).to(device)
        self.known = KnownFields(dataset, device, names=run.forecast_lineage.forcing)
        self.reader = WindowReader(dataset, cache_bytes=0)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=natively_bf16(device))

    def history(self, indices: Array) -> Fields:
        """(B, T, C, H, W) physical states up to the times at these indices; NaN where missing."""
        T = self.data.history
        cases, rows = np.unique(indices, return_inverse=True)  # the members of a case share its history
        packed = np.stack([self.reader.window(int(index) - T + 1, T) for index in cases])
        return self.normaliser.unpack(torch.from_numpy(packed).to(self.device))[torch.from_numpy(rows).to(self.device)]

    def leads(
        self, history: Fields, init_times: Array, noise: MemberNoise, *, steps: int, first: int = 0
    ) -> Iterator[Fields]:
        """(B, C, H, W) physical fields of each lead after `first`, from histories that end there; see `roll`."""
        with torch.inference_mode(), self.autocast:
            yield from roll(
                self.model,
                self.normalised(history),
                init_times,
                step=self.dataset.step,
                steps=steps,
                lead=self.data.lead,
                normaliser=self.normaliser,
                known=self.known,
                noise=noise,
                first=first,
            )

    def sample(self, history: Fields, times: Array, noise: MemberNoise, *, step: int) -> Fields:
        """(B, C, H, W) physical fields one step after the (B,) `times` of the histories' last states."""
        valid = times[:, None] + self.dataset.step * np.arange(1, self.data.lead + 1)
        with torch.inference_mode(), self.autocast:
            batch = known_batch(self.normalised(history), valid, self.known, times)
            return self.normaliser.forecast(self.model.step(batch, noise.at(step)))[:, 0]

    def normalised(self, history: Fields) -> Tensor:
        """What the model takes: missing values are 0, the training mean."""
        return torch.nan_to_num(self.normaliser.normalise(history))
