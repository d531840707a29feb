"""A dataset of sequences on disk: one array a variable, (series, time, y, x), whole or absent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import zarr

from weatherml.data.chunks import read_array
from weatherml.data.layout import (
    CONVENTIONS,
    TIME_ATTRIBUTES,
    add_array,
    add_grid,
    codecs,
    consolidate,
    variable_attributes,
)
from weatherml.data.statistics import STATISTICS, Moments, Statistics, VariableMoments
from weatherml.data.store import open_group, read_grid, verify_marker
from weatherml.data.transforms import transform
from weatherml.errors import MissingInputError
from weatherml.grid import Grid
from weatherml.sources.sequences import PARTS, Sequences
from weatherml.tasks import Task
from weatherml.variables import Variable

Array = npt.NDArray[Any]
KIND = "sequences"
SHARD = 64
"""Series in a file."""
BINARY: tuple[Task, ...] = ("classify", "segment")


@dataclass(frozen=True, kw_only=True)
class SequenceDataset:
    """A finished store of sequences; see `weatherml.sources.sequences.Sequences` for what it holds.

    Attributes:
        path: where it lies.
        task: what it serves.
        length: S, the steps of a sample's inputs.
        lead: steps from the last input to the target.
        grid: of inputs and targets.
        series: (N,) names.
        times: (N, T) datetime64[s], NaT beyond a series' end.
        part: (N, T) int8, see `Sequences.part`.
        inputs: the variables that enter, in order.
        targets: the variables to learn, in order.
        statistics: of the training samples, inputs first, then targets.
        source: the settings of the source that it was prepared from.
    """

    path: Path
    task: Task
    length: int
    lead: int
    grid: Grid
    series: tuple[str, ...]
    times: Array
    part: Array
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    statistics: Statistics
    source: dict[str, Any]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Inputs, then targets."""
        return (*self.inputs, *self.targets)

    @cached_property
    def values(self) -> dict[str, Array]:
        """Every variable, (N, T, H, W) float32; verified by their checksums, read once.

        Raises:
            BadDataError: a damaged or missing chunk.
        """
        group = open_group(self.path)
        return {variable.name: read_array(self.path, group, variable.name) for variable in self.variables}

    @cached_property
    def stacked_inputs(self) -> Array:
        """(N, T, C, H, W), the inputs in order; shared by all that read batches."""
        return np.stack([self.values[variable.name] for variable in self.inputs], axis=2)

    @cached_property
    def stacked_targets(self) -> Array:
        """(N, T, V, H, W), the targets in order."""
        return np.stack([self.values[variable.name] for variable in self.targets], axis=2)

    def samples(self, part: str) -> Array:
        """(n, 2): series and time of the target of each sample of a part, in order."""
        return np.argwhere(self.part == PARTS.index(part))

    def window(self, target: int) -> slice:
        """The times of the inputs of the sample whose target stands at `target`."""
        last = target - self.lead
        return slice(last - self.length + 1, last + 1)


def write_sequences(path: Path, found: Sequences, source: dict[str, Any]) -> None:
    """Write a store at `path`, a folder that is not there yet, but for its marker."""
    group = zarr.create_group(str(path), zarr_format=3)
    variables = (*found.inputs, *found.targets)
    group.attrs.update(
        Conventions=CONVENTIONS,
        task=found.task,
        length=found.length,
        lead=found.lead,
        grid_kind=found.grid.kind,
        series_names=list(found.series),
        inputs=[variable.settings() for variable in found.inputs],
        targets=[variable.settings() for variable in found.targets],
        source_config=source,
        notes=list(found.notes),
    )
    add_grid(group, found.grid)
    seconds = found.times.astype("datetime64[s]").astype(np.int64)
    unknown = {"missing_value": int(np.iinfo(np.int64).min)}
    add_array(group, "time", seconds, ("series", "step"), {**TIME_ATTRIBUTES, **unknown})
    add_array(group, "part", found.part.astype(np.int8), ("series", "step"), {"flag_meanings": " ".join(PARTS)})
    for variable in variables:
        _add_values(group, variable, found)
    for name, values in zip(STATISTICS, _statistics(found), strict=True):
        add_array(group, f"statistics/{name}", values, ("variable",), {})
    consolidate(path)


def _add_values(group: zarr.Group, variable: Variable, found: Sequences) -> None:
    values = found.values[variable.name].astype(np.float32)
    array = group.create_array(
        variable.name,
        shape=values.shape,
        dtype=np.float32,
        chunks=(1, *values.shape[1:]),
        shards=(min(SHARD, len(values)), *values.shape[1:]),
        fill_value=np.nan,
        dimension_names=("series", "step", *found.grid.dims),
        attributes=variable_attributes(variable, found.grid),
        config={"write_empty_chunks": True},
        **codecs(4),
    )
    array[...] = values


def _statistics(found: Sequences) -> Array:
    """(len(STATISTICS), inputs + targets) of the training samples alone; 0 and 1 stay as they are."""
    training = np.argwhere(found.part == PARTS.index("train"))
    seen = np.zeros(found.times.shape, bool)
    for series, target in training:
        last = target - found.lead
        seen[series, last - found.length + 1 : last + 1] = True
    aimed = found.part == PARTS.index("train")
    rows = [_moments(variable, found.values[variable.name][seen]) for variable in found.inputs]
    binary = found.task in BINARY
    rows += [
        (0.0, 1.0, 0.0, 1.0, 0.0, 1.0) if binary else _moments(variable, found.values[variable.name][aimed])
        for variable in found.targets
    ]
    return np.array(rows, dtype=np.float64).T


def _moments(variable: Variable, values: Array) -> tuple[float, ...]:
    seen = transform(torch.from_numpy(values), variable).numpy()
    return tuple(VariableMoments(state=Moments.of(seen)).finish().values())


def open_sequences(path: str | Path) -> SequenceDataset:
    """Open a store of sequences.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished, of another kind or schema, or damaged.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such dataset; make one with `wml prepare`")
    verify_marker(path, KIND)
    group = open_group(path)
    attributes: dict[str, Any] = dict(group.attrs)
    return SequenceDataset(
        path=path,
        task=attributes["task"],
        length=attributes["length"],
        lead=attributes["lead"],
        grid=read_grid(path, group, attributes["grid_kind"]),
        series=tuple(attributes["series_names"]),
        times=read_array(path, group, "time").astype("datetime64[s]"),
        part=read_array(path, group, "part"),
        inputs=tuple(Variable(**each) for each in attributes["inputs"]),
        targets=tuple(Variable(**each) for each in attributes["targets"]),
        statistics=Statistics(**{name: read_array(path, group, f"statistics/{name}") for name in STATISTICS}),
        source=attributes["source_config"],
    )
