"""The fields of one forecast, a lead after another, and the truth at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.errors import MissingInputError, UsageError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.variables import Variable
from weatherml.verify.example import animated_variable
from weatherml.verify.files.names import standard
from weatherml.verify.files.reading import grid_dims, lead_hours, load, open_file, read_grid
from weatherml.verify.files.truth import Truth, open_truth, read_variable
from weatherml.verify.plot.view import View

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """What is drawn.

    Attributes:
        name: of the forecast.
        view: with nothing left open.
        variable: that is shown.
        grid: of the fields.
        init_time: datetime64[s].
        lead_hours: (L,), increasing.
        fields: (L, H, W) of the forecast.
        truth: (L, H, W) at the valid times, NaN where there is none; None where no truth was given.
        land: the truth's land mask.
    """

    name: str
    view: View
    variable: Variable
    grid: Grid
    init_time: np.datetime64
    lead_hours: Array
    fields: Array
    truth: Array | None
    land: Array | None

    def valid_time(self, index: int) -> np.datetime64:
        """The time that a field is for, to the minute."""
        valid: Array = self.init_time + np.array(round(self.lead_hours[index] * 3600), "timedelta64[s]")
        return np.datetime64(valid.astype("datetime64[m]").item(), "m")


def read_scenes(path: Path, view: View, *, truth: Path | None = None, animated: bool = False) -> Scenes:
    """Read what a view shows of the forecast at `path`: all leads for an animation, else one.

    Raises:
        MissingInputError: no file, or no such time.
        BadDataError: no forecast.
        UsageError: a variable, lead or member that it has not.
    """
    dataset = standard(open_file(path))
    names = [str(name) for name, array in dataset.items() if {"init_time", "lead_time"} <= set(array.dims)]
    if not names:
        raise UsageError(f"{path}: has no fields by init_time and lead_time; give a forecast")
    view = replace(view, variable=_variable(view.variable, names))
    variable = read_variable(dataset, str(view.variable))
    view.require(variable.name, dataset[variable.name].sizes.get("member", 1))
    init_index, init_time = _init(view, dataset, path)
    hours = lead_hours(dataset["lead_time"].values, dataset["lead_time"].attrs.get("units"))
    leads = list(range(len(hours))) if animated else [_lead(view, hours)]
    array = dataset[variable.name].isel(init_time=init_index)
    fields = [view.reduce(_members(array, lead, dataset, path), variable) for lead in leads]
    seen = None if truth is None else open_truth(truth)
    return Scenes(
        name=path.stem,
        view=view,
        variable=variable,
        grid=read_grid(dataset, path),
        init_time=init_time,
        lead_hours=hours[leads],
        fields=np.stack(fields),
        truth=None if seen is None else _observed(seen, init_time, hours[leads], variable.name),
        land=None if seen is None else seen.land,
    )


def _variable(wanted: str | None, names: Sequence[str]) -> str:
    if wanted is not None and wanted not in names:
        raise UsageError(f"--variable {wanted}: not in the forecast; {suggest(wanted, names)}")
    return wanted or animated_variable(list(names))


def _init(view: View, dataset: xr.Dataset, path: Path) -> tuple[int, np.datetime64]:
    times = dataset["init_time"].values.astype("datetime64[s]")
    if view.init_time is None:
        return 0, times[0]
    (found,) = np.nonzero(times == view.init_time)
    if not len(found):
        raise MissingInputError(
            f"{path}: no forecast from {view.init_time}Z; {len(times)} start from {times.min()}Z to {times.max()}Z"
        )
    return int(found[0]), times[found[0]]


def _lead(view: View, hours: Array) -> int:
    if view.lead_hours is None:
        return len(hours) - 1
    nearest = int(np.abs(hours - view.lead_hours).argmin())
    if abs(hours[nearest] - view.lead_hours) > 1e-6:
        raise UsageError(f"--lead {view.lead_hours:g}: leads run from {hours.min():g} to {hours.max():g} h")
    return nearest


def _members(array: xr.DataArray, lead: int, dataset: xr.Dataset, path: Path) -> Array:
    """(M, H, W) of one lead."""
    one = array.isel(lead_time=lead)
    one = one if "member" in one.dims else one.expand_dims("member")
    return load(one.transpose("member", *grid_dims(dataset, path)), "member", list(range(one.sizes["member"])), path)


def _observed(truth: Truth, init_time: np.datetime64, hours: Array, name: str) -> Array:
    times = init_time + np.round(hours * 3600).astype("timedelta64[s]")
    fields = np.full((len(times), *truth.grid.shape), np.nan, np.float32)
    known = truth.has(times)
    if name in truth.variables and known.any():
        fields[known] = truth.read(times[known], [name])[name]
    return fields
