"""A forecast on disk: (init_time, lead_time, y, x), CF, physical units, streamed and resumable.

Variables with a valid range are packed as the dataset packs them; others stay float32, since a
forecast may leave the range that was ever observed. Small fields share a shard over leads, so that
many initial times are not many thousand files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from weatherml.data.packing import FILL, Packing, pack
from weatherml.data.store import Dataset, write_marker
from weatherml.files import partial_path, publish, read_json, remove, write_json
from weatherml.variables import Variable

Array = npt.NDArray[Any]
SCHEMA = 1
PROGRESS = "progress.json"
SHARD_BYTES = 1 << 24
LEAD_ATTRIBUTES = {
    "standard_name": "forecast_period",
    "long_name": "time since the initial time",
    "units": "seconds",
    "dtype": "timedelta64[s]",  # lets xarray decode without a guess
}
INIT_ATTRIBUTES = TIME_ATTRIBUTES | {"standard_name": "forecast_reference_time", "long_name": "initial time"}


class ForecastWriter:
    """Writes blocks of leads for some initial times; goes on where an earlier one stopped.

    Attributes:
        path: the unfinished store.
        done: indices of the initial times that are complete.
        stopped: leads kept, by initial time, of forecasts that turned non-finite.
    """

    def __init__(self, output: Path, request: dict[str, Any]) -> None:
        self.output = output
        self.path = partial_path(output)
        self.request = request
        self.done: list[int] = []
        self.stopped: dict[str, int] = {}
        progress = self.path / PROGRESS
        if progress.is_file():
            state = read_json(progress)
            if state["request"] == request:
                self.done, self.stopped = state["done"], state["stopped"]
        self.begun = progress.is_file() and bool(self.done)

    def create(self, dataset: Dataset, init_times: Array, leads: int, attributes: dict[str, Any]) -> None:
        """Lay out the store, unless an earlier job did."""
        self.variables, self.packings = dataset.variables, dataset.packings
        self.shard = shard_leads(leads, dataset.grid.shape)
        if self.begun:
            self.group = zarr.open_group(str(self.path), mode="a")
            return
        remove(self.path)
        self.group = zarr.open_group(str(self.path), mode="w", zarr_format=3)
        self.group.attrs.update({"Conventions": CONVENTIONS, "schema": SCHEMA, **attributes})
        add_grid(self.group, dataset.grid)
        step = int(dataset.step / np.timedelta64(1, "s"))
        add_array(self.group, "lead_time", np.arange(1, leads + 1) * step, ("lead_time",), LEAD_ATTRIBUTES)
        seconds = init_times.astype("datetime64[s]").astype(np.int64)
        add_array(self.group, "init_time", seconds, ("init_time",), INIT_ATTRIBUTES)
        for variable, packing in zip(self.variables, self.packings, strict=True):
            self._add(dataset, variable, packing, (len(init_times), leads))

    def write(self, cases: Sequence[int], first: int, block: Array) -> None:
        """Write (B, l, C, H, W) physical fields of the leads from `first` on; NaN where missing."""
        for c, (variable, packing) in enumerate(zip(self.variables, self.packings, strict=True)):
            values = pack(block[:, :, c], packing) if packed(variable) else block[:, :, c].astype(np.float32)
            array = self.group[variable.name]
            assert isinstance(array, zarr.Array)
            for row, case in enumerate(cases):
                array[case, first : first + block.shape[1]] = values[row]

    def complete(self, cases: Sequence[int], stopped: dict[str, int]) -> None:
        """Note that these initial times are written."""
        self.done += [int(case) for case in cases]
        self.stopped |= stopped
        state = {"request": self.request, "done": self.done, "stopped": self.stopped}
        write_json(self.path / PROGRESS, state)

    def finish(self) -> None:
        """Write the metadata, the marker last, and move the store (or its NetCDF copy) to its place."""
        self.group.attrs["stopped"] = self.stopped
        remove(self.path / PROGRESS)
        consolidate(self.path)
        write_marker(self.path, "forecast", SCHEMA)
        if self.output.suffix == ".nc":
            copy = self.path.with_name(f"{self.path.name}.nc")
            to_netcdf(self.path, copy)
            publish(copy, self.output)
            remove(self.path)
        else:
            publish(self.path, self.output)

    def _add(self, dataset: Dataset, variable: Variable, packing: Packing, sizes: tuple[int, int]) -> None:
        grid = dataset.grid
        dtype = np.dtype(np.int16 if packed(variable) else np.float32)
        attributes = variable_attributes(variable, grid) | (packing_attributes(packing) if packed(variable) else {})
        self.group.create_array(
            variable.name,
            shape=(*sizes, *grid.shape),
            dtype=dtype,
            chunks=(1, 1, *grid.shape),
            shards=(1, self.shard, *grid.shape),
            fill_value=FILL if packed(variable) else np.nan,
            dimension_names=("init_time", "lead_time", *grid.dims),
            attributes=attributes,
            config={"write_empty_chunks": True},
            **codecs(dtype.itemsize),
        )


def packed(variable: Variable) -> bool:
    """Whether a forecast of this variable is bounded, so that it can be packed."""
    return variable.valid_min is not None and variable.valid_max is not None


def shard_leads(leads: int, shape: tuple[int, int]) -> int:
    """Leads in a shard: many for small fields, few for large ones, whose block stays in memory."""
    return max(1, min(leads, SHARD_BYTES // (shape[0] * shape[1] * 2)))


def to_netcdf(store: Path, path: Path) -> None:
    """Copy a finished zarr forecast to NetCDF-4, an initial time at a time, compressed."""
    import xarray as xr  # noqa: PLC0415 - slow to import

    remove(path)
    with xr.open_zarr(str(store), chunks={"init_time": 1}, mask_and_scale=False, decode_times=False) as dataset:
        plain = dataset.drop_encoding()
        chunks = {name: (1, 1, *array.shape[2:]) for name, array in plain.data_vars.items() if array.ndim == 4}
        encoding = {name: {"zlib": True, "complevel": 1, "chunksizes": sizes} for name, sizes in chunks.items()}
        plain.attrs = {
            key: value if isinstance(value, str | int | float) else repr(value) for key, value in plain.attrs.items()
        }
        plain.to_netcdf(path, engine="netcdf4", encoding=encoding)
