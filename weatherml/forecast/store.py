"""A forecast on disk: (init_time, lead_time[, member], y, x), CF, physical units, streamed and resumable.

Variables with a valid range are packed as the dataset packs them; others stay float32, since a
forecast may leave the range that was ever observed. Small fields share a shard over leads, so that
many initial times are not many thousand files. A shard belongs to one row, an initial time or a member
of one, and is written whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.layout import (
    CONVENTIONS,
    TIME_ATTRIBUTES,
    add_array,
    add_grid,
    codecs,
    consolidate,
    packing_attributes,
    variable_attributes,
)
from weatherml.data.packing import FILL, Packing, pack, unpack
from weatherml.data.store import write_marker
from weatherml.files import partial_path, publish, read_json, remove, tree_size, write_json
from weatherml.forecast.netcdf import to_netcdf
from weatherml.forecast.state import State
from weatherml.grid import Grid
from weatherml.schema import KEY, SCHEMAS
from weatherml.variables import Variable

Array = npt.NDArray[Any]
DIMS = ("init_time", "lead_time", "member")
PROGRESS, STATE = "progress.json", "state.safetensors"
SHARD_BYTES = 1 << 24
SHARD_LEADS = 48
LEAD_ATTRIBUTES = {
    "standard_name": "forecast_period",
    "long_name": "time since the initial time",
    "units": "seconds",
    "dtype": "timedelta64[s]",  # lets xarray decode without a guess
}
INIT_ATTRIBUTES = TIME_ATTRIBUTES | {"standard_name": "forecast_reference_time", "long_name": "initial time"}
MEMBER_ATTRIBUTES = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}


class Described(Protocol):
    """What a forecast is of: a `Dataset`, or as much of one as the store needs."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The channels, in order."""

    @property
    def packings(self) -> tuple[Packing | None, ...]:
        """How each is packed; None stays float32."""

    @property
    def grid(self) -> Grid:
        """The horizontal grid."""

    @property
    def step(self) -> np.timedelta64:
        """From one lead to the next."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One array of a forecast.

    Attributes:
        name: in the store.
        attributes: CF, without the packing's.
        packing: None stays float32.
        per_member: False for what is made of all members.
    """

    name: str
    attributes: dict[str, Any]
    packing: Packing | None = None
    per_member: bool = True

    @property
    def itemsize(self) -> int:
        """Bytes of one value, before compression."""
        return 4 if self.packing is None else 2


class ForecastWriter:
    """Writes blocks of leads for some rows; goes on where an earlier one stopped.

    A row is an initial time, or a member of one: row r is member r % M of initial time r // M.

    Args:
        output: the finished forecast, .zarr or .nc.
        request: what must be equal for an unfinished forecast to be gone on with.
        members: M; None has no dimension of members.

    Attributes:
        path: the unfinished store.
        done: the rows that are complete.
        derived: blocks of fields made of all members that are written.
        stopped: leads kept, by row in words, of forecasts that turned non-finite.
    """

    def __init__(self, output: Path, request: dict[str, Any], members: int | None = None) -> None:
        self.output = output
        self.request = request
        self.members = members
        self.work = partial_path(output)
        self.path = self.work / "store"
        self.done: list[int] = []
        self.derived = 0
        self.stopped: dict[str, int] = {}
        self.begun = self._resume()

    def _resume(self) -> bool:
        progress = self.work / PROGRESS
        state = read_json(progress) if progress.is_file() and self.path.is_dir() else {}
        if state.get("request") != self.request:
            return False
        self.done, self.derived, self.stopped = state["done"], state["derived"], state["stopped"]
        for stray in list(self.path.rglob("*.partial")):  # zarr's temporary files
            remove(stray)
        return True

    @property
    def written(self) -> int:
        """Bytes that an earlier job left to go on with."""
        return tree_size(self.work) if self.begun else 0

    def create(
        self,
        dataset: Described,
        init_times: Array,
        leads: int,
        attributes: dict[str, Any],
        *,
        block: int = 1,
        derived: Sequence[Layer] = (),
    ) -> None:
        """Lay out the store, unless an earlier job did.

        Args:
            dataset: on whose grid and with whose variables.
            init_times: (N,) datetime64.
            leads: of each.
            attributes: global ones.
            block: leads that one call of the model predicts; a shard holds a multiple.
            derived: fields made of all members.
        """
        self.variables = variable_layers(dataset)
        self.layers = {layer.name: layer for layer in (*self.variables, *derived)}
        self.shard = shard_leads(leads, dataset.grid.shape, block)
        if not self.begun:
            remove(self.work)
            self._lay_out(dataset, init_times, leads, attributes)
            self._note()
        # consolidated metadata may be there if a job was killed at its end; they are written again
        self.group = zarr.open_group(str(self.path), mode="a", use_consolidated=False)
        self.arrays: dict[str, zarr.Array[Any]] = dict(self.group.arrays())  # to look one up costs as much as to write

    def write(self, rows: Sequence[int], first: int, block: Array) -> None:
        """Write (B, l, C, H, W) physical fields of the leads from `first` on; NaN where missing."""
        leads = slice(first, first + block.shape[1])
        for c, layer in enumerate(self.variables):
            for index, row in enumerate(rows):
                case, member = divmod(row, self.members or 1)
                place = (case, leads) if self.members is None else (case, leads, member)
                self.arrays[layer.name][place] = stored(block[index, :, c], layer)

    def write_derived(self, name: str, case: int, first: int, block: Array) -> None:
        """Write (l, H, W) physical fields of one array made of all members, for the leads from `first` on."""
        self.arrays[name][case, first : first + len(block)] = stored(block, self.layers[name])

    def read(self, name: str, case: int, leads: range) -> Array:
        """(l, M, H, W) physical fields of one variable and initial time, all members."""
        values = np.asarray(self.arrays[name][case, leads.start : leads.stop])
        packing = self.layers[name].packing
        return values if packing is None else unpack(values, packing)

    def lead_size(self, name: str) -> int:
        """Values of one lead of one variable and initial time, all members."""
        return math.prod(self.arrays[name].shape[2:])

    def running(self, rows: Sequence[int]) -> State | None:
        """Where a killed job stood with exactly these rows."""
        path = self.work / STATE
        state = State.load(path) if path.is_file() else None
        return state if state is not None and state.rows.tolist() == list(rows) else None

    def save(self, state: State) -> None:
        """Note where the running rows stand; their leads so far are written."""
        state.save(self.work / STATE)

    def complete(self, rows: Sequence[int], stopped: dict[str, int]) -> None:
        """Note that these rows are written."""
        self.done += [int(row) for row in rows]
        self.stopped |= stopped
        self._note()

    def complete_derived(self) -> None:
        """Note that one more block of fields made of all members is written."""
        self.derived += 1
        self._note()

    def finish(self, *, keep_members: bool = True) -> None:
        """Write the metadata, the marker last, and move the store (or its NetCDF copy) to its place."""
        self.group.attrs["stopped"] = self.stopped
        if not keep_members:
            for name in ("member", *(layer.name for layer in self.variables)):
                remove(self.path / name)
        consolidate(self.path)
        write_marker(self.path, "forecast")
        whole = self.path
        if self.output.suffix == ".nc":
            whole = self.work / "copy.nc"
            to_netcdf(self.path, whole)
        publish(whole, self.output)
        remove(self.work)

    def _note(self) -> None:
        state = {"request": self.request, "done": self.done, "derived": self.derived, "stopped": self.stopped}
        write_json(self.work / PROGRESS, state)

    def _lay_out(self, dataset: Described, init_times: Array, leads: int, attributes: dict[str, Any]) -> None:
        group = zarr.open_group(str(self.path), mode="w", zarr_format=3)
        group.attrs.update({"Conventions": CONVENTIONS, KEY: SCHEMAS["forecast"].current, **attributes})
        add_grid(group, dataset.grid)
        step = int(dataset.step / np.timedelta64(1, "s"))
        add_array(group, "lead_time", np.arange(1, leads + 1) * step, ("lead_time",), LEAD_ATTRIBUTES)
        seconds = init_times.astype("datetime64[s]").astype(np.int64)
        add_array(group, "init_time", seconds, ("init_time",), INIT_ATTRIBUTES)
        if self.members is not None:
            add_array(group, "member", np.arange(self.members), ("member",), MEMBER_ATTRIBUTES)
        for layer in self.layers.values():
            members = (self.members,) if self.members and layer.per_member else ()
            add_layer(group, layer, (len(init_times), leads, *members), shard=self.shard, grid=dataset.grid)


def variable_layers(dataset: Described) -> list[Layer]:
    """The arrays of a dataset's variables: packed where a forecast is bounded."""
    return [
        Layer(
            name=variable.name,
            attributes=variable_attributes(variable, dataset.grid),
            packing=None if variable.valid_min is None or variable.valid_max is None else packing,
        )
        for variable, packing in zip(dataset.variables, dataset.packings, strict=True)
    ]


def add_layer(group: zarr.Group, layer: Layer, counts: tuple[int, ...], *, shard: int, grid: Grid) -> None:
    """Create an empty array of N initial times, L leads and perhaps M members: a chunk is a field, a shard a block."""
    ones = (1,) * (len(counts) - 2)
    group.create_array(
        layer.name,
        shape=(*counts, *grid.shape),
        dtype=np.float32 if layer.packing is None else np.int16,
        chunks=(1, 1, *ones, *grid.shape),
        shards=(1, shard, *ones, *grid.shape),
        fill_value=np.nan if layer.packing is None else FILL,
        dimension_names=(*DIMS[: len(counts)], *grid.dims),
        attributes=layer.attributes | ({} if layer.packing is None else packing_attributes(layer.packing)),
        config={"write_empty_chunks": True},
        **codecs(layer.itemsize),
    )


def stored(values: Array, layer: Layer) -> Array:
    """Physical values as the array holds them."""
    return values.astype(np.float32) if layer.packing is None else pack(values, layer.packing)


def shard_leads(leads: int, shape: tuple[int, int], block: int = 1) -> int:
    """Leads in a shard, a multiple of `block`: many for small fields, few for large ones; a shard stays in memory."""
    most = min(leads, SHARD_LEADS, SHARD_BYTES // (shape[0] * shape[1] * 2))
    return max(1, most // block) * block


def needed_bytes(dataset: Described, sizes: tuple[int, int], members: int | None, derived: Sequence[Layer]) -> int:
    """Bytes of a forecast of N initial times and L leads, before compression."""
    H, W = dataset.grid.shape
    a_point = (members or 1) * sum(layer.itemsize for layer in variable_layers(dataset))
    return sizes[0] * sizes[1] * H * W * (a_point + sum(layer.itemsize for layer in derived))
