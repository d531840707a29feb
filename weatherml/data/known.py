"""Fields known at a valid time: the sun's height, hour and day from real timestamps, external ones, and static ones."""

from __future__ import annotations

from collections.abc import Sequence
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
SUN = {"cos_zenith": sun.coefficients, "cos_zenith_equinox": sun.equinox_coefficients}
CLOCK = ("hour_sin", "hour_cos", "day_sin", "day_cos")
DAY, YEAR = np.timedelta64(24, "h"), np.timedelta64(365 * 24, "h")
PERIODS = {"cos_zenith": YEAR, "cos_zenith_equinox": DAY} | dict(zip(CLOCK, (DAY, DAY, YEAR, YEAR), strict=True))
"""How long it takes until a field of the sun or the clock has been everywhere."""
MASKS = frozenset({"land_binary_mask"})


def forcing_names(dataset: Dataset) -> tuple[str, ...]:
    """The K known time-varying fields for a model trained on the dataset, external ones last.

    What the training part has not seen go round once would be a trend in time, which a network follows out of what it
    knows: of a record of some months the day of the year is left out and the sun stands as at an equinox, of some hours
    the hour is left out too.
    """
    times = dataset.times[dataset.part("train")]
    seen = times[-1] - times[0] + dataset.step if len(times) else dataset.step
    names = [name for name in _all_forcing_names(dataset) if name not in PERIODS or PERIODS[name] <= seen]
    return tuple(name for name in names if name != "cos_zenith_equinox" or "cos_zenith" not in names)


def forcing_names_for(told: Sequence[str], dataset: Dataset) -> tuple[str, ...]:
    """What the dataset gives a model that is told so much of the sun and the clock, however long its record is."""
    return tuple(name for name in _all_forcing_names(dataset) if name in told or name not in PERIODS)


def _all_forcing_names(dataset: Dataset) -> tuple[str, ...]:
    """Those that the dataset could give; the sun's only where the grid knows where it is."""
    external = external_of(dataset)
    known = CLOCK if dataset.grid.latlon is None else (*SUN, *CLOCK)
    return known if external is None else (*known, *external.names)


class KnownFields:
    """Computes (N, K, H, W) known fields for any times, and holds the (S, H, W) static ones.

    Args:
        dataset: whose grid, static fields and external forcing are taken.
        device: where they are computed.
        names: of the fields, a run's; None takes `forcing_names`.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device | str = "cpu", *, names: Sequence[str] | None = None
    ) -> None:
        self.names = forcing_names(dataset) if names is None else tuple(names)
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

        def numbers(values: Array) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=basis.device)

        suns = [numbers(SUN[name](times)) for name in self.names if name in SUN]
        clock = numbers(clock_features(times)[:, [name in self.names for name in CLOCK]])
        fields = [torch.tensordot(weights, basis, dims=1)[:, None] for weights in suns]
        fields.append(clock[:, :, None, None].expand(-1, -1, *basis.shape[1:]))
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
