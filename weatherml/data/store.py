"""A dataset on disk, opened: variables, grid, times, splits, statistics, and packed fields by time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import read_array
from weatherml.data.layout import MAPPING
from weatherml.data.packing import Packing
from weatherml.data.rows import read_rows
from weatherml.data.statistics import STATISTICS, Statistics
from weatherml.data.summary import Summary, read_summary
from weatherml.errors import BadDataError, MissingInputError
from weatherml.files import read_json
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.schema import KEY, SCHEMAS
from weatherml.seal import file_hashes, require_unchanged
from weatherml.sources.geometry import PROJECTION_FIELDS
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
MARKER = "complete.json"
TEXTS = (".json", ".yaml", ".html")
AUXILIARY = frozenset({"latitude", "longitude", *PROJECTION_FIELDS})
"""Fields that say where the points lie: no inputs of a network."""


@dataclass(frozen=True)
class Dataset:
    """A finished store. `open_dataset` makes it; `select` narrows its channels.

    Attributes:
        path: where it lies.
        variables: the channels, in order.
        packings: how each is packed.
        grid: the horizontal grid.
        times: (N,) datetime64[s] UTC.
        step: the time step.
        splits: first and last time of each part, inclusive.
        statistics: of the training split.
        source: the settings of the source that it was prepared from.
    """

    path: Path
    variables: tuple[Variable, ...]
    packings: tuple[Packing, ...]
    grid: Grid
    times: Array
    step: np.timedelta64
    splits: dict[Part, tuple[np.datetime64, np.datetime64]]
    statistics: Statistics
    source: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """The channels' names."""
        return [variable.name for variable in self.variables]

    @cached_property
    def group(self) -> zarr.Group:
        """The zarr group, read-only."""
        return open_group(self.path)

    @cached_property
    def static(self) -> dict[str, Array]:
        """Fields (H, W) that do not change, by name, float32."""
        dims = list(self.grid.dims)
        return {
            name: read_array(self.path, self.group, name).astype(np.float32)
            for name, array in sorted(self.group.arrays())
            if list(getattr(array.metadata, "dimension_names", None) or ()) == dims and name not in AUXILIARY
        }

    @cached_property
    def summary(self) -> Summary:
        """A few numbers of each time, of these channels.

        Raises:
            MissingInputError: the dataset was made by a version that kept none.
            BadDataError: damaged.
        """
        return read_summary(self.path, self.group, self.times, self.names)

    def read(self, times: slice | int, variable: str) -> Array:
        """Packed int16 fields (n, H, W) of one variable; verified by their checksums.

        Raises:
            BadDataError: a chunk is corrupt or missing; names variable and time.
        """
        rows = times if isinstance(times, slice) else slice(times, times + 1)
        return read_rows(self.path, self.group, variable, self.times, rows)

    def select(self, names: Sequence[str]) -> Dataset:
        """The same dataset with these channels, in this order.

        Raises:
            BadDataError: a name that is not in it.
        """
        for name in names:
            if name not in self.names:
                raise BadDataError(f"{self.path}: has no variable {name!r}; {suggest(name, self.names)}")
        channels = [self.names.index(name) for name in names]
        return replace(
            self,
            variables=tuple(self.variables[c] for c in channels),
            packings=tuple(self.packings[c] for c in channels),
            statistics=self.statistics.select(channels),
        )

    def part(self, name: Part) -> Array:
        """Indices of the times of one part."""
        first, last = self.splits[name]
        return np.flatnonzero((self.times >= first) & (self.times <= last))


def open_dataset(path: str | Path) -> Dataset:
    """Open a store that `wml prepare` finished.

    Raises:
        MissingInputError: nothing there.
        BadDataError: unfinished, of another schema, metadata that do not match their hashes, or damaged arrays.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such dataset; make one with `wml prepare`")
    verify_marker(path, "dataset")
    group = open_group(path)
    attributes: dict[str, Any] = dict(group.attrs)
    variables = tuple(Variable(**settings) for settings in attributes["variable_table"].values())
    return Dataset(
        path=path,
        variables=variables,
        packings=tuple(_packing(dict(group[variable.name].attrs)) for variable in variables),
        grid=read_grid(path, group, attributes["grid_kind"]),
        times=read_array(path, group, "time").astype("datetime64[s]"),
        step=np.timedelta64(int(attributes["time_step_seconds"]), "s"),
        splits={name: _interval(attributes["splits"][name]) for name in PARTS},
        statistics=Statistics(**{name: read_array(path, group, f"statistics/{name}") for name in STATISTICS}),
        source=attributes["source_config"],
    )


def write_marker(path: Path, kind: str) -> None:
    """Write, last of all, that the store is whole, with the hash of every file of text in it."""
    marker = {"kind": kind, KEY: SCHEMAS[kind].current, "metadata": metadata_hashes(path)}
    (path / MARKER).write_text(_marker_text(marker), encoding="utf-8")


def _marker_text(marker: Any) -> str:
    return json.dumps(marker, indent=1, sort_keys=True) + "\n"


def verify_marker(path: Path, kind: str) -> None:
    """Raise BadDataError unless the store at `path` is whole, of this kind and a known schema, its texts unchanged."""
    if not (path / MARKER).is_file():
        raise BadDataError(f"{path}: not a finished {kind} (no {MARKER}); make it again")
    marker = read_json(path / MARKER)
    written = (path / MARKER).read_bytes() == _marker_text(marker).encode()  # in every blank
    sound = written and isinstance(marker, dict) and isinstance(marker.get("metadata"), dict)
    if not sound or marker.get("kind") not in SCHEMAS:
        raise BadDataError(f"{path}/{MARKER}: damaged; make the {kind} again")
    if marker.get("kind") != kind:
        raise BadDataError(f"{path}: holds {marker.get('kind')!r}, not {kind!r}; give another, or make it again")
    marker = SCHEMAS[kind].upgraded(marker, path)
    require_unchanged(path, marker["metadata"], f"make the {kind} again")


def metadata_hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each JSON, YAML and HTML file of a store, by its path inside; the marker itself left out."""
    files = [file for file in path.rglob("*") if file.suffix in TEXTS and file.name != MARKER]
    return file_hashes(path, [file.relative_to(path).as_posix() for file in files])


def _packing(attributes: dict[str, Any]) -> Packing:
    return Packing(scale_factor=attributes["scale_factor"], add_offset=attributes["add_offset"])


def open_group(path: Path) -> zarr.Group:
    """The zarr group at `path`, read-only."""
    return zarr.open_group(str(path), mode="r", use_consolidated=True)  # else it looks at the files that are not zarr's


def read_grid(path: Path, group: zarr.Group, kind: Any) -> Grid:
    """The grid that a store holds."""
    dims = Grid(kind=kind, y=np.arange(1.0), x=np.arange(1.0)).dims
    mapping = dict(group[MAPPING].attrs) if MAPPING in group else {}
    y, x = (read_array(path, group, name) for name in dims)
    return Grid(kind=kind, y=y, x=x, mapping=mapping)


def _interval(ends: list[str]) -> tuple[np.datetime64, np.datetime64]:
    first, last = (np.datetime64(end, "s") for end in ends)
    return first, last
