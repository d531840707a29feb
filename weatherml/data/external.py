"""External large-scale forcing: fields of a second dataset, on a grid of its own, at a model's times and points.

In time they are exact where the record has the time, else linear between the two around it; in space bilinear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.data.chunks import WHOLE, Box
from weatherml.data.packing import Packing, unpack
from weatherml.data.regrid import Bilinear, Points, locate
from weatherml.data.statistics import Statistics
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.variables import Variable

Array = npt.NDArray[Any]
KEPT, KEPT_BYTES = 16, 1 << 27
"""Times whose fields are kept on the device at least, and more while they take no more than these bytes."""
UNPACKED = Packing(scale_factor=1.0, add_offset=0.0)
SECOND, HOUR = np.timedelta64(1, "s"), np.timedelta64(1, "h")


@dataclass(frozen=True)
class Between:
    """Where (N,) times lie among those of a record.

    Attributes:
        before: place of the last time that is not later; -1 where the record does not cover the time.
        after: place of the next; the same where the record has the time itself.
        weight: of `after`, from 0 to 1.
    """

    before: Array
    after: Array
    weight: Array

    @property
    def covered(self) -> Array:
        """(N,) whether the record has the time, or two around it."""
        return np.asarray(self.before >= 0)


def between(times: Array, wanted: Array, longest: np.timedelta64) -> Between:
    """Where `wanted` times lie among increasing `times`, of which two may be interpolated at most `longest` apart."""
    after = np.searchsorted(times, wanted).clip(max=len(times) - 1)
    before = np.where(times[after] == wanted, after, (after - 1).clip(min=0))
    gap = times[after] - times[before]
    covered = (times[before] <= wanted) & (wanted <= times[after]) & (gap <= longest)
    weight = (wanted - times[before]) / np.maximum(gap, SECOND)
    return Between(np.where(covered, before, -1), after, weight)


class Record(Protocol):
    """Fields by time on a grid: of analyses, or of forecasts that each begin at a time of their own."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def grid(self) -> Grid:
        """Its grid of (h, w) points."""

    @property
    def units(self) -> Mapping[str, str]:
        """The units of each variable."""

    def between(self, times: Array, init_times: Array | None) -> Between:
        """Where (N,) valid times lie, for forecasts from (N,) initial times: what came later is not looked at."""

    def read(self, name: str, place: int) -> Array:
        """(h, w) float32 physical values of a variable, NaN where missing."""

    def reason(self, time: np.datetime64, init_time: np.datetime64 | None) -> str:
        """Why a time is not covered, in words."""


@dataclass(frozen=True)
class Analyses:
    """A dataset as a record: what is valid at a time is known whenever the forecast began."""

    dataset: Dataset

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.dataset.path

    @property
    def grid(self) -> Grid:
        """Its grid."""
        return self.dataset.grid

    @property
    def units(self) -> Mapping[str, str]:
        """The units of each variable."""
        return {variable.name: variable.units for variable in self.dataset.variables}

    def between(self, times: Array, init_times: Array | None) -> Between:  # noqa: ARG002 - the same for all
        """Where valid times lie among the dataset's, two of which may be a step apart."""
        return between(self.dataset.times, times, self.dataset.step)

    def read(self, name: str, place: int) -> Array:
        """(h, w) float32 physical values."""
        return unpack(self.dataset.read(place, name)[0], self.dataset.packings[self.dataset.names.index(name)])

    def reason(self, time: np.datetime64, init_time: np.datetime64 | None) -> str:  # noqa: ARG002
        """Before its first time, after its last, or in a gap."""
        times = self.dataset.times
        after = int(np.searchsorted(times, time))
        if after == 0:
            return f"its first time is {times[0]}Z"
        if after == len(times):
            return f"its last time is {times[-1]}Z"
        return f"it has a gap from {times[after - 1]}Z to {times[after]}Z"


@dataclass(frozen=True, kw_only=True)
class External:
    """Variables of a record, and where the points of a model's grid lie in it.

    Attributes:
        record: the fields by time.
        variables: in order.
        statistics: that normalise them, in the same order.
        points: of the model's grid in the record's.
    """

    record: Record
    variables: tuple[Variable, ...]
    statistics: Statistics
    points: Points

    @property
    def names(self) -> tuple[str, ...]:
        """The variables' names."""
        return tuple(variable.name for variable in self.variables)

    def covered(self, times: Array, init_times: Array | None = None) -> Array:
        """(N,) whether valid times are covered, for forecasts from `init_times`."""
        return self.record.between(times, init_times).covered

    def between(self, times: Array, init_times: Array | None = None) -> Between:
        """Where valid times lie in the record.

        Raises:
            BadDataError: one is not covered; names it and says why.
        """
        found = self.record.between(times, init_times)
        for row in np.flatnonzero(~found.covered)[:1]:
            init = None if init_times is None else init_times[row]
            hour = "" if init is None else f", hour {(times[row] - init) / HOUR:g} of the forecast from {init}Z"
            raise BadDataError(
                f"{self.record.path}: no forcing for {times[row]}Z{hour}: {self.record.reason(times[row], init)}; "
                "take one that covers it, or forecast fewer hours"
            )
        return found


def chosen(record: Record, variables: Sequence[Variable], statistics: Statistics, points: Points) -> External:
    """Variables of a record, normalised by `statistics`; names decide, never positions.

    Raises:
        BadDataError: it lacks one, or has it in other units.
    """
    for variable in variables:
        if variable.name not in record.units:
            known = suggest(variable.name, record.units)
            raise BadDataError(f"{record.path}: has no {variable.name!r}, which the run takes as forcing; {known}")
        units = record.units[variable.name]
        if units != variable.units:
            raise BadDataError(
                f"{record.path}: {variable.name} in {units}, the run was trained on {variable.units}; prepare it alike"
            )
    return External(record=record, variables=tuple(variables), statistics=statistics, points=points)


@dataclass(frozen=True, kw_only=True)
class ForcedDataset(Dataset):
    """A dataset with external forcing beside it.

    Attributes:
        external: the forcing.
    """

    external: External


def external_of(dataset: Dataset) -> External | None:
    """The forcing beside a dataset; None where there is none."""
    return dataset.external if isinstance(dataset, ForcedDataset) else None


def beside(dataset: Dataset, external: External) -> ForcedDataset:
    """The dataset with this forcing."""
    held = {field.name: getattr(dataset, field.name) for field in fields(Dataset)}
    return ForcedDataset(**held, external=external)


def with_forcing(dataset: Dataset, path: Path) -> ForcedDataset:
    """The dataset with all variables of the one at `path` as forcing, normalised with that one's own statistics.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished, damaged, or a grid that does not cover the dataset's.
    """
    forcing = open_dataset(path)
    points = locate(forcing.grid, dataset.grid, path)
    return beside(dataset, chosen(Analyses(forcing), forcing.variables, forcing.statistics, points))


class ExternalFields:
    """Computes (N, C, H, W) external fields on a device, normalised; missing values are 0, the training mean."""

    def __init__(self, external: External, device: torch.device | str = "cpu") -> None:
        self.external = external
        self.device = device
        self.bilinear = Bilinear(external.points, device)
        packings = [UNPACKED] * len(external.variables)
        self.normaliser = Normaliser(external.variables, packings, external.statistics).to(device)
        rows, columns = (span.stop - span.start for span in external.points.box)
        size = 4 * rows * columns * len(packings)
        self._read = lru_cache(maxsize=max(KEPT, KEPT_BYTES // size))(self._load)

    def at(self, times: Array, box: Box = WHOLE, init_times: Array | None = None) -> Tensor:
        """(N, C, H, W) float32 for (N,) valid times, cut to `box`, of forecasts from (N,) `init_times`.

        Raises:
            BadDataError: a time that is not covered.
        """
        found = self.external.between(times, init_times)
        places = np.stack([found.before, found.after, found.weight], axis=1)
        distinct, rows = np.unique(places, axis=0, return_inverse=True)  # members of a case share their fields
        coarse = torch.stack([self._between(int(before), int(after), weight) for before, after, weight in distinct])
        fine = self.normaliser.normalise(self.bilinear(coarse, box))
        return torch.nan_to_num(fine)[torch.as_tensor(rows.ravel(), device=fine.device)]

    def _between(self, before: int, after: int, weight: float) -> Tensor:
        return torch.lerp(self._read(before), self._read(after), weight) if weight else self._read(before)

    def _load(self, place: int) -> Tensor:
        """(C, h, w) physical fields, cut to what the model's grid needs."""
        read = [self.external.record.read(name, place)[self.external.points.box] for name in self.external.names]
        return torch.as_tensor(np.stack(read), device=self.device)
