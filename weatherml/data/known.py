"""Fields known at a valid time: the sun's height, hour and day from real timestamps, external ones, and static ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml import sun
from weatherml.data.chunks import WHOLE, Box
from weatherml.data.external import ExternalFields, external_of
from weatherml.data.statistics import Moments
from weatherml.data.store import Dataset
from weatherml.grid import Grid

Array = npt.NDArray[Any]
CLOCK = ("hour_sin", "hour_cos", "day_sin", "day_cos")
MASKS = frozenset({"land_binary_mask"})


def forcing_names(dataset: Dataset) -> tuple[str, ...]:
    """The K known time-varying fields, external ones last; the sun's only where the grid knows where it is."""
    external = external_of(dataset)
    known = CLOCK if dataset.grid.latlon is None else ("cos_zenith", *CLOCK)
    return known if external is None else (*known, *external.names)


class KnownFields:
    """Computes (N, K, H, W) known fields for any times, and holds the (S, H, W) static ones."""

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
        self.names = forcing_names(dataset)
        self.static_names = tuple(dataset.static)
        self.static = static_fields(dataset.static, dataset.grid).to(device)
        latlon = dataset.grid.latlon
        basis = sun.basis(*latlon) if latlon is not None else np.zeros((0, *dataset.grid.shape))
        self._basis = torch.as_tensor(basis, dtype=torch.float32, device=device)
        external = external_of(dataset)
        self._external = None if external is None else ExternalFields(external, device)

    def at(self, times: Array, box: Box = WHOLE, init_times: Array | None = None) -> Tensor:
        """(N, K, H, W) float32 for (N,) datetime64 times, cut to `box`.

        Args:
            times: valid times.
            box: the rows and columns that are wanted.
            init_times: (N,), of the forecasts, for forcing that is itself a forecast.

        Raises:
            BadDataError: a time that external forcing does not cover.
        """
        basis = self._basis[:, box[0], box[1]]
        clock = torch.as_tensor(clock_features(times), dtype=torch.float32, device=basis.device)
        fields = [clock[:, :, None, None].expand(-1, -1, *basis.shape[1:])]
        if len(basis):
            weights = torch.as_tensor(sun.coefficients(times), dtype=torch.float32, device=basis.device)
            fields.insert(0, torch.tensordot(weights, basis, dims=1)[:, None])
        if self._external is not None:
            fields.append(self._external.at(times, box, init_times))
        return torch.cat(fields, dim=1)


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
