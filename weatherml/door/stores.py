"""Datasets and forecasts as xarray objects, lazily; the files that such objects stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.data.sequences.predictions import is_predictions
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import MARKER, PARTS, Dataset
from weatherml.data.stores import open_data
from weatherml.errors import UsageError
from weatherml.forecast.forcing import open_forecasts
from weatherml.verify.files.names import standard
from weatherml.verify.files.reading import lead_hours, open_file

Array = npt.NDArray[Any]
Given: TypeAlias = str | Path | xr.Dataset
"""Where data lie: a path, or a dataset that was opened from one here."""


def open_dataset(path: str | Path) -> xr.Dataset:
    """What `wml prepare` or `weatherml.prepare` made, as CF: physical values, read when they are used.

    Args:
        path: of the store.

    Returns:
        Fields (time, y, x) or (time, latitude, longitude), each in its attribute `units`, NaN where masked; of
        sequences (series, step, y, x). Coordinates are `time` (UTC), the grid's with latitude and longitude,
        and `split`: `train`, `validation`, `test`, or empty where a time, or a target's time, serves none of them.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished, of another version, or changed since it was written.
    """
    store = open_data(Path(path))
    dataset = _open_store(store.path)
    if isinstance(store, SequenceDataset):
        split = np.array([*PARTS, ""])[store.part]  # -1, no part, is the last
        dataset = dataset.drop_vars("part").set_coords("time")
        dataset = dataset.assign_coords(series=list(store.series), split=(("series", "step"), split))
    else:
        dataset = dataset.assign_coords(split=("time", _split(store)))
    return _noted(dataset, store.path)


def open_forecast(path: str | Path) -> xr.Dataset:
    """A forecast, ours or another's under our names, read when it is used; or predictions of sequences.

    Args:
        path: of a zarr store or NetCDF file.

    Returns:
        Fields (init_time, lead_time[, member], y, x) in their `units`, `lead_time` as timedelta64; of an ensemble the
        products beside, see docs/ensembles.md. Predictions are (series, step, y, x) with `time` (series, step).

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished, of another version, damaged, or no file that xarray reads.
    """
    path = Path(path)
    if (path / MARKER).is_file():
        return _noted(_open_store(open_forecasts(path).path), path)  # which checks it
    if is_predictions(path):
        with open_file(path) as dataset:  # small; and a file that stays open may not be opened beside, see `path_of`
            return _noted(dataset.load(), path)
    dataset = open_file(path)
    found = _noted(_timed(standard(dataset)), path)
    found.set_close(dataset.close)
    return found


def path_of(given: Given) -> Path:
    """The path itself, or that of the file that a dataset was opened from.

    The dataset lets go of the file, and takes it again when it is read: HDF5 fails, or crashes, where one process has
    a NetCDF file open twice and closes it once.

    Raises:
        UsageError: a dataset from elsewhere, or one that is no longer what its file holds.
    """
    if not isinstance(given, xr.Dataset):
        return Path(given)
    source = given.encoding.get("source")
    if source is None or "opened" not in given.encoding:
        raise UsageError("dataset: not opened by weatherml; write it to a file, and give its path")
    if given.encoding["opened"] != _outline(given):
        raise UsageError(f"{source}: the dataset was changed since; write it to a file of its own, and give its path")
    given.close()
    return Path(source)


def each(given: Given | Iterable[Given]) -> list[Given]:
    """One of something, or several, as a list."""
    return [given] if isinstance(given, str | Path | xr.Dataset) else list(given)


def _open_store(path: Path) -> xr.Dataset:
    return xr.open_dataset(path, engine="zarr", chunks="auto", decode_coords="all", decode_timedelta=True)


def _timed(dataset: xr.Dataset) -> xr.Dataset:
    """Lead times, which the reader leaves as numbers, as durations."""
    if "lead_time" not in dataset.coords:
        return dataset
    hours = lead_hours(dataset["lead_time"].values, dataset["lead_time"].attrs.get("units"))
    return dataset.assign_coords(lead_time=np.round(hours * 3600).astype("timedelta64[s]"))


def _noted(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    dataset.encoding |= {"source": str(path), "opened": _outline(dataset)}
    return dataset


def _outline(dataset: xr.Dataset) -> tuple[dict[str, int], list[str]]:
    """Sizes and names: what differs where a part was taken or something added."""
    return {str(dim): size for dim, size in dataset.sizes.items()}, sorted(map(str, dataset.data_vars))


def _split(store: Dataset) -> Array:
    """(N,) the part of each time, by name."""
    split = np.full(len(store.times), "", "U10")
    for name in PARTS:
        split[store.part(name)] = name
    return split
