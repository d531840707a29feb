"""Fields that are known at any time: the sun's height, hour and day from real timestamps, and static fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml import sun
from weatherml.data.statistics import Moments
from weatherml.data.store import Dataset
from weatherml.grid import Grid

Array = npt.NDArray[Any]
CLOCK = ("hour_sin", "hour_cos", "day_sin", "day_cos")
MASKS = frozenset({"land_binary_mask"})


def forcing_names(grid: Grid) -> tuple[str, ...]:
    """The K known time-varying fields: the sun's only where the grid knows latitude and longitude."""
    return CLOCK if grid.latlon is None else ("cos_zenith", *CLOCK)


class KnownFields:
    """Computes (N, K, H, W) known fields for any times, and holds the (S, H, W) static ones."""

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
        self.grid = dataset.grid
        self.names = forcing_names(dataset.grid)
        self.static_names = tuple(dataset.static)
        self.static = static_fields(dataset.static, dataset.grid).to(device)
        latlon = dataset.grid.latlon
        basis = sun.basis(*latlon) if latlon is not None else np.zeros((0, *dataset.grid.shape))
        self._basis = torch.as_tensor(basis, dtype=torch.float32, device=device)

    def at(self, times: Array) -> Tensor:
        """(N, K, H, W) float32 for (N,) datetime64 times."""
        device = self._basis.device
        clock = torch.as_tensor(clock_features(times), dtype=torch.float32, device=device)
        maps = clock[:, :, None, None].expand(-1, -1, *self.grid.shape)
        if len(self._basis) == 0:
            return maps
        weights = torch.as_tensor(sun.coefficients(times), dtype=torch.float32, device=device)
        return torch.cat([torch.tensordot(weights, self._basis, dims=1)[:, None], maps], dim=1)


def clock_features(times: Array) -> Array:
    """(N, 4): sine and cosine of the hour of the day and of the day of the year, UTC."""
    day, hour = (2 * np.pi * phase for phase in sun.day_and_hour(times))
    return np.stack([np.sin(hour), np.cos(hour), np.sin(day), np.cos(day)], axis=-1)


def static_fields(static: dict[str, Array], grid: Grid) -> Tensor:
    """(S, H, W) float32: masks as they are, other fields as z-scores over the grid; missing is 0."""
    fields = [values if name in MASKS else z_score(values) for name, values in static.items()]
    stacked = np.stack(fields) if fields else np.zeros((0, *grid.shape))
    return torch.as_tensor(np.nan_to_num(stacked), dtype=torch.float32)


def z_score(values: Array) -> Array:
    """Zero mean and unit standard deviation over the known points; a constant field becomes 0."""
    known = Moments.of(values)
    return np.asarray((values - known.mean) / (known.std or 1.0))
