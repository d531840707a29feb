"""Predictions of an emulator, a classifier or a segmenter: one NetCDF file, whole or absent."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.data.foreign import require_opens
from weatherml.data.layout import CONVENTIONS, MAPPING, TIME_ATTRIBUTES, variable_attributes
from weatherml.data.netcdf_seal import seal
from weatherml.data.sequences.store import BINARY
from weatherml.errors import BadDataError, MissingInputError, reason
from weatherml.files import replacing
from weatherml.grid import COORDINATES, Grid
from weatherml.tasks import Task
from weatherml.variables import Variable

Array = npt.NDArray[Any]
FEATURE = "predictions"
PROBABILITY = "_probability"
ATTENTION = "attention"
NO_TIME = np.iinfo(np.int64).min  # what numpy calls NaT
ROW = ("series", "step")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says of the targets of a dataset of sequences; N series of up to T steps.

    Attributes:
        task: what the dataset serves.
        grid: of the targets.
        series: (N,) names, each once.
        times: (N, T) datetime64[s] of the targets, NaT beyond a series' end.
        targets: the variables predicted, in the dataset's order.
        values: by target, (N, T, H, W) float32: in physical units, or the probability of 1 where the task is to
            classify or to segment; NaN where nothing was predicted.
        attributes: `run`, `dataset`, and what else is to be known of their making.
        attention: (S, S), how much each input step read from each, mean over positives; None of models without it.
    """

    task: Task
    grid: Grid
    series: tuple[str, ...]
    times: Array
    targets: tuple[Variable, ...]
    values: dict[str, Array]
    attributes: dict[str, str] = field(default_factory=dict)
    attention: Array | None = None


def array_name(target: str, task: Task) -> str:
    """The name of a target's array in the file."""
    return f"{target}{PROBABILITY}" if task in BINARY else target


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions to `path` as CF NetCDF, in one step.

    Raises:
        OSError: the disk is full or fails; what stood there stays.
    """
    dataset = to_xarray(predictions)
    encoding: dict[str, dict[str, Any]] = {
        array_name(target.name, predictions.task): {"zlib": True, "complevel": 1, "fletcher32": True}
        for target in predictions.targets
    }
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        seal(temporary, "predictions")


def to_xarray(predictions: Predictions) -> xr.Dataset:
    """Predictions as they lie in the file, times as numbers."""
    grid, task = predictions.grid, predictions.task
    seconds = predictions.times.astype("datetime64[s]").astype(np.int64)
    coordinates: dict[str, Any] = {
        name: (name, values.astype(np.float64), attributes)
        for name, values, attributes in zip(grid.dims, (grid.y, grid.x), COORDINATES[grid.kind], strict=True)
    }
    coordinates["series"] = ("series", np.array(predictions.series, dtype=object), {"cf_role": "timeseries_id"})
    coordinates["time"] = (ROW, seconds, {**TIME_ATTRIBUTES, "_FillValue": NO_TIME})
    arrays: dict[str, Any] = {
        array_name(target.name, task): (
            (*ROW, *grid.dims),
            predictions.values[target.name].astype(np.float32),
            _attributes(target, grid, task),
        )
        for target in predictions.targets
    }
    if predictions.attention is not None:
        arrays[ATTENTION] = (("to_step", "from_step"), predictions.attention, {"long_name": "mean attention weight"})
    if grid.mapping:
        arrays[MAPPING] = ((), np.int32(0), grid.mapping)
    about = {"Conventions": CONVENTIONS, "feature": FEATURE, "task": task, "grid_kind": grid.kind}
    return xr.Dataset(arrays, coords=coordinates, attrs={**predictions.attributes, **about})


def _attributes(target: Variable, grid: Grid, task: Task) -> dict[str, Any]:
    words = variable_attributes(target, grid)
    if task in BINARY:
        mapping = {"grid_mapping": MAPPING} if grid.mapping else {}
        words = {"long_name": f"probability of {target.long_name or target.name}", "units": "1", **mapping}
    return {**words, "target": target.name, "_FillValue": np.float32(np.nan)}


def is_predictions(path: Path) -> bool:
    """Whether a NetCDF file that reads holds predictions."""
    if not path.is_file():
        return False
    try:
        require_opens(path)
        with _opened(path) as dataset:
            return dataset.attrs.get("feature") == FEATURE
    except BadDataError:
        return False


def open_predictions(path: Path) -> Predictions:
    """Read predictions.

    Raises:
        MissingInputError: nothing there.
        BadDataError: changed since it was written, a file that does not read, or holds no predictions.
    """
    if not path.exists():
        raise MissingInputError(f"{path}: no such predictions; make them with `wml rollout`")
    require_opens(path, whole=True)
    with _opened(path) as dataset:
        if dataset.attrs.get("feature") != FEATURE:
            raise BadDataError(f"{path}: holds no predictions; give a file that `wml rollout` made of sequences")
        try:  # HDF5 tells of a flipped bit with a RuntimeError
            return _read(dataset)
        except (OSError, RuntimeError, LookupError, ValueError, StopIteration) as error:
            raise BadDataError(f"{path}: cannot be read ({reason(error)}); predict again") from None


@contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign files
            dataset = xr.open_dataset(path, engine="netcdf4", decode_cf=False, cache=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadDataError(f"{path}: cannot be opened ({reason(error)}); give NetCDF") from None
    with dataset:
        yield dataset


def _read(dataset: xr.Dataset) -> Predictions:
    about = dict(dataset.attrs)
    task, kind = cast(Task, about.pop("task")), about.pop("grid_kind")
    arrays = {str(each.attrs["target"]): each for each in dataset.values() if "target" in each.attrs}
    mapping = dataset[MAPPING].attrs if MAPPING in dataset else {}
    rows, columns = next(iter(arrays.values())).dims[-2:]
    grid = Grid(
        kind=kind,
        y=dataset[rows].values,
        x=dataset[columns].values,
        mapping={str(key): np.asarray(value).tolist() for key, value in mapping.items()},
    )
    return Predictions(
        task=task,
        grid=grid,
        series=tuple(map(str, dataset["series"].values)),
        times=dataset["time"].values.astype("datetime64[s]"),
        targets=tuple(_variable(name, array) for name, array in arrays.items()),
        values={name: np.asarray(array.values, np.float32) for name, array in arrays.items()},
        attributes={key: str(value) for key, value in about.items() if key not in ("Conventions", "feature")},
        attention=dataset[ATTENTION].values if ATTENTION in dataset else None,
    )


def _variable(name: str, array: xr.DataArray) -> Variable:
    said = {key: array.attrs[key] for key in ("long_name", "standard_name", "units") if key in array.attrs}
    return Variable(name=name, **{"units": "1", **said})
