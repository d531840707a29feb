"""External forcing of a forecast: analyses, or an earlier forecast, of which nothing is seen that came later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import read_array
from weatherml.data.external import Analyses, Between, Record, between, external_of
from weatherml.data.packing import Packing, unpack
from weatherml.data.store import MARKER, Dataset, open_dataset, open_group, read_grid, verify_marker
from weatherml.errors import BadDataError
from weatherml.files import read_json
from weatherml.forecast.store import DIMS
from weatherml.grid import Grid

Array = npt.NDArray[Any]
HOUR = np.timedelta64(1, "h")


def open_record(path: Path | None) -> Record | None:
    """The analyses or forecasts at a path; None where none is named.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished or damaged.
    """
    if path is None:
        return None
    marker = path / MARKER
    if marker.is_file() and read_json(marker).get("kind") == "forecast":
        return open_forecasts(path)
    return Analyses(open_dataset(path))


def forcing_path(dataset: Dataset) -> dict[str, str]:
    """Where a dataset's external forcing lies, as a setting; none where it has none."""
    external = external_of(dataset)
    return {} if external is None else {"forcing": str(external.record.path)}


def open_forecasts(path: Path) -> Forecasts:
    """Open a forecast store that is finished.

    Raises:
        BadDataError: unfinished or damaged.
    """
    verify_marker(path, "forecast")
    group = open_group(path)
    return Forecasts(
        path=path,
        group=group,
        grid=read_grid(path, group, group.attrs["grid_kind"]),
        init_times=read_array(path, group, "init_time").astype("datetime64[s]"),
        leads=read_array(path, group, "lead_time").astype("timedelta64[s]"),
    )


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """Forecasts as a record: a time is taken from the latest one that had begun by then and covers it.

    Attributes:
        path: of the store.
        group: its zarr group.
        grid: its grid.
        init_times: (N,) datetime64[s].
        leads: (L,) timedelta64[s], increasing. Place n * L + l is lead l of forecast n.
    """

    path: Path
    group: zarr.Group
    grid: Grid
    init_times: Array
    leads: Array

    @cached_property
    def units(self) -> Mapping[str, str]:
        """The units of each variable that has no members."""
        dims = (*DIMS[:2], *self.grid.dims)
        return {
            name: str(array.attrs["units"])
            for name, array in self.group.arrays()
            if getattr(array.metadata, "dimension_names", None) == dims
        }

    def between(self, times: Array, init_times: Array | None) -> Between:
        """Where valid times lie among the leads of forecasts that began at `init_times` or before."""
        assert init_times is not None  # only what is itself a forecast takes forecasts
        found = Between(np.full(len(times), -1), np.zeros(len(times), int), np.zeros(len(times)))
        for init_time in np.unique(init_times):
            rows = np.flatnonzero(init_times == init_time)
            for case in self._begun(init_time, times[rows].min()):
                self._enter(found, rows[~found.covered[rows]], times, case)
        return found

    def _begun(self, by: np.datetime64, reaching: np.datetime64) -> Array:
        """Forecasts that had begun by one time and reach another, the latest first."""
        order = np.argsort(self.init_times)[::-1]
        begun, ends = self.init_times[order], self.init_times[order] + self.leads[-1]
        return np.asarray(order[(begun <= by) & (ends >= reaching)])

    def _enter(self, found: Between, rows: Array, times: Array, case: int) -> None:
        """Take what one forecast covers of the times at `rows`."""
        here = between(self.leads, times[rows] - self.init_times[case], np.diff(self.leads).max(initial=0))
        covered, first = here.covered, case * len(self.leads)
        found.before[rows[covered]] = first + here.before[covered]
        found.after[rows[covered]] = first + here.after[covered]
        found.weight[rows[covered]] = here.weight[covered]

    def read(self, name: str, place: int) -> Array:
        """(h, w) float32 physical values.

        Raises:
            BadDataError: the field is damaged, or missing throughout.
        """
        case, lead = divmod(place, len(self.leads))
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        try:
            stored = np.asarray(array[case, lead])
        except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
            raise self._broken(name, case, lead, f"damaged ({error})") from None
        values = self._physical(stored, dict(array.attrs))
        if np.isnan(values).all():  # a forecast that stopped, or a file that is lost
            raise self._broken(name, case, lead, "missing throughout")
        return values

    def _physical(self, stored: Array, attributes: Mapping[str, Any]) -> Array:
        if "scale_factor" not in attributes:
            return stored
        return unpack(stored, Packing(scale_factor=attributes["scale_factor"], add_offset=attributes["add_offset"]))

    def _broken(self, name: str, case: int, lead: int, what: str) -> BadDataError:
        when = f"hour {self.leads[lead] / HOUR:g} of the forecast from {self.init_times[case]}Z"
        return BadDataError(f"{self.path}: {name} at {when}: {what}; make it again")

    def reason(self, time: np.datetime64, init_time: np.datetime64 | None) -> str:  # noqa: ARG002 - the same for all
        """Nothing reaches it."""
        first, last = (self.leads[end] / HOUR for end in (0, -1))
        return (
            f"no forecast that had begun by then covers it; they begin {self.init_times.min()}Z to "
            f"{self.init_times.max()}Z and hold hours {first:g} to {last:g}"
        )
