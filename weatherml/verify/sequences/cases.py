"""The samples that are scored: those of one part that all files predict, with the truth beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.sequences.predictions import Predictions, open_predictions
from weatherml.data.sequences.store import SequenceDataset
from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
Fields = dict[str, Array]
"""By target, (n, H, W) of n samples."""


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Samples with what was said of them and what came; NaN at points that not all know.

    Attributes:
        samples: (n, 2), series and time of each target.
        times: (n,) datetime64[s].
        truth: by target, (n, H, W).
        forecasts: by name, in order, and target, (n, H, W).
    """

    samples: Array
    times: Array
    truth: Fields
    forecasts: dict[str, Fields]

    def of_series(self, number: int) -> Array:
        """(n,) bool: the samples of one series."""
        return np.asarray(self.samples[:, 0] == number)


def open_all(paths: list[Path], truth: SequenceDataset, taken: str) -> dict[str, Predictions]:
    """By name, the predictions of each file, their values on the truth's axes.

    Args:
        paths: the files; a file's name is its stem.
        truth: what they are held against.
        taken: the baseline's name.

    Raises:
        MissingInputError: a file is not there.
        BadDataError: a file that does not match the truth, or two of one name.
    """
    found: dict[str, Predictions] = {}
    for path in paths:
        if path.stem in (*found, taken):
            raise BadDataError(f"{path}: two forecasts or baselines are named {path.stem}; rename the file")
        said = open_predictions(path)
        found[path.stem] = replace(said, values=aligned(said, truth, path))
    return found


def aligned(predictions: Predictions, truth: SequenceDataset, path: Path) -> Fields:
    """Predictions on the truth's axes, NaN for series that they do not hold.

    Raises:
        BadDataError: another task, grid, series, times, or target; names the first difference.
    """
    require_same(predictions, truth, path)
    places = [truth.series.index(name) for name in predictions.series]
    if predictions.series == truth.series:
        return predictions.values
    steps = predictions.times.shape[1]
    whole = {name: np.full((*truth.times.shape, *truth.grid.shape), np.nan, np.float32) for name in predictions.values}
    for name, values in predictions.values.items():
        whole[name][places, :steps] = values[:, : truth.times.shape[1]]
    return whole


def require_same(predictions: Predictions, truth: SequenceDataset, path: Path) -> None:
    """Raise BadDataError where predictions are of something else than the truth holds."""
    if predictions.task != truth.task:
        raise BadDataError(f"{path}: predictions to {predictions.task}, {truth.path} is to {truth.task}; name its own")
    difference = truth.grid.difference(predictions.grid)
    if difference:
        raise BadDataError(f"{path}: {difference} in {truth.path}; predict on the truth's grid")
    wanted, given = ([each.name for each in those] for those in (truth.targets, predictions.targets))
    if sorted(wanted) != sorted(given):
        raise BadDataError(f"{path}: targets {', '.join(given)}, the truth's are {', '.join(wanted)}; predict those")
    for name, times in zip(predictions.series, predictions.times, strict=True):
        if name not in truth.series:
            raise BadDataError(f"{path}: series {name} is not in {truth.path}; name the dataset that was predicted")
        ours = truth.times[truth.series.index(name)]
        if not np.array_equal(times[~np.isnat(times)], ours[~np.isnat(ours)]):
            raise BadDataError(f"{path}: series {name} has other times than in {truth.path}; predict it again")


def common_cases(truth: SequenceDataset, forecasts: Mapping[str, Fields], part: str) -> Cases:
    """The samples of a part of which every forecast says something, and the points that all know."""
    samples = truth.samples(part)
    said = {name: {target: whole[tuple(samples.T)] for target, whole in f.items()} for name, f in forecasts.items()}
    observed = {target.name: truth.values[target.name][tuple(samples.T)] for target in truth.targets}
    known = {
        target: np.logical_and.reduce([np.isfinite(each) for each in (values, *(f[target] for f in said.values()))])
        for target, values in observed.items()
    }
    kept = np.logical_or.reduce([each.any(axis=(1, 2)) for each in known.values()])

    def masked(fields: Fields) -> Fields:
        return {name: np.where(known[name], values, np.nan)[kept] for name, values in fields.items()}

    chosen = samples[kept]
    return Cases(
        samples=chosen,
        times=truth.times[tuple(chosen.T)],
        truth=masked(observed),
        forecasts={name: masked(fields) for name, fields in said.items()},
    )
