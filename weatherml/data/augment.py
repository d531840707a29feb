"""Augmentation that keeps the physics: mirrors that negate vector components, noise, random crops."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.chunks import WHOLE, Box
from weatherml.data.external import External, external_of
from weatherml.data.store import Dataset
from weatherml.errors import ConfigError
from weatherml.fields import Batch

Array = npt.NDArray[Any]


def noisy(batch: Batch, std: Tensor, *, seed: Sequence[int]) -> Batch:
    """The batch with Gaussian noise of standard deviation `std` (C, 1, 1) on its history."""
    device = batch.history.device
    number = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
    noise = torch.randn(batch.history.shape, generator=torch.Generator(device).manual_seed(number), device=device)
    return replace(batch, history=batch.history + noise * std)


def flipped(batch: Batch, dataset: Dataset, *, rows: bool, columns: bool) -> Batch:
    """The batch seen in a mirror: columns reversed negates x components, rows reversed y components."""
    dims = [dim for dim, wanted in ((-2, rows), (-1, columns)) if wanted]
    if not dims:
        return batch
    negated = {component for component, wanted in (("y", rows), ("x", columns)) if wanted}
    turned = batch.map(lambda tensor: tensor.flip(dims) if tensor.ndim > 2 else tensor)
    assert turned.target is not None
    mirror = Mirror(dataset, negated, batch.history.device)
    return replace(
        turned,
        history=mirror(turned.history),
        target=mirror(turned.target),
        forcing=_forcing_mirrored(turned.forcing, external_of(dataset), negated),
    )


def _forcing_mirrored(forcing: Tensor, external: External | None, negated: AbstractSet[str]) -> Tensor:
    """(B, L, K, H, W) with the external channels, which are the last, mirrored; sun and clock have no components."""
    if external is None:
        return forcing
    count = len(external.variables)
    mirrored = Mirror(external, negated, forcing.device)(forcing[:, :, -count:])
    return torch.cat([forcing[:, :, :-count], mirrored], dim=2)


class Mirror:
    """Negates physical vector components of normalised fields (..., C, H, W).

    Args:
        fields: whose variables and statistics are those of the channels.
        negated: the components, `x` or `y`.
        device: of the fields.
    """

    def __init__(self, fields: Dataset | External, negated: AbstractSet[str], device: torch.device) -> None:
        signs = np.array([-1.0 if variable.component in negated else 1.0 for variable in fields.variables])
        mean, std = fields.statistics.mean, fields.statistics.std
        # a normalised component changes sign about its physical zero, not about its mean
        offset = np.where(signs < 0, -2 * mean / np.where(std > 0, std, 1.0), 0.0)
        self.sign = torch.tensor(signs, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.offset = torch.tensor(offset, dtype=torch.float32, device=device).view(-1, 1, 1)

    def __call__(self, normalised: Tensor) -> Tensor:
        """Z -> -z - 2 mean / std where negated: -(z std + mean) normalised again."""
        return normalised * self.sign + self.offset


def draw_box(rng: np.random.Generator, crop: tuple[int, int] | None, shape: tuple[int, int]) -> Box:
    """A random box of `crop` rows and columns, or the whole grid."""
    if crop is None:
        return WHOLE
    top, left = (int(rng.integers(size - part + 1)) for size, part in zip(shape, crop, strict=True))
    return slice(top, top + crop[0]), slice(left, left + crop[1])


def check_crop(crop: tuple[int, int] | None, dataset: Dataset) -> None:
    """Raise ConfigError for crops that this grid cannot give."""
    if crop is None:
        return
    if dataset.grid.kind == "latlon":
        raise ConfigError("data.crop: rows of a latitude-longitude grid differ in area; train on whole fields")
    if crop[0] > dataset.grid.shape[0] or crop[1] > dataset.grid.shape[1]:
        raise ConfigError(f"data.crop: {crop} exceeds the grid {dataset.grid.shape}; set data.crop")
