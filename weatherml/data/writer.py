"""Appends times to an unfinished dataset, a shard at a time, and keeps what is needed to go on after a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.chunks import read_array
from weatherml.data.consumed import Consumed, stamp
from weatherml.data.layout import (
    CONVENTIONS,
    MAPPING,
    TIME_ATTRIBUTES,
    add_array,
    add_grid,
    add_variable,
    shard_length,
    variable_attributes,
)
from weatherml.data.packing import Packing
from weatherml.data.quality import Checked
from weatherml.data.shards import Encoded, write_shard
from weatherml.data.statistics import STATISTICS, Statistics
from weatherml.data.store import Part
from weatherml.data.summary import SUMMARY, add_summary, summary_arrays, summary_blocks
from weatherml.data.tally import REPEATED, Row, Tally
from weatherml.errors import BadDataError, WMLError
from weatherml.files import remove, sync
from weatherml.schema import KEY, SCHEMAS
from weatherml.sources.base import Description, SourceConfig
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Splits = Mapping[Part, tuple[np.datetime64, np.datetime64]]
RESERVED = frozenset({"statistics", SUMMARY, "time", "y", "x", "latitude", "longitude", MAPPING})


class StoreWriter:
    """The only hand that writes a dataset.

    Attributes:
        done: what was taken in so far.
        tally: makes the rows of the summary.
    """

    tally: Tally

    def __init__(self, path: Path, description: Description, config: SourceConfig) -> None:
        self.path = path
        self.description = description
        self.config = config
        # consolidated metadata may be there if a job was killed at its end; they are written again
        self.group = zarr.open_group(str(path), mode="a", zarr_format=3, use_consolidated=False)
        self.done = Consumed()
        self._waiting: list[tuple[np.datetime64, dict[str, Encoded], list[Row]]] = []

    @classmethod
    def create(
        cls, path: Path, description: Description, config: SourceConfig, packings: tuple[Packing, ...]
    ) -> StoreWriter:
        """Lay out an empty store.

        Raises:
            BadDataError: a variable under a name that the store needs itself.
        """
        for name in RESERVED.intersection(variable.name for variable in description.variables):
            raise BadDataError(f"{name}: a name that the store needs itself; rename the variable (source_name)")
        writer = cls(path, description, config)
        writer.group.attrs.update(global_attributes(description, config, packings))
        add_grid(writer.group, description.grid)
        for name, static in description.static.items():
            mapped = variable_attributes(Variable(name=name, units="1"), description.grid) | static.attributes
            add_array(writer.group, name, static.values.astype(np.float32), description.grid.dims, mapped)
        size: dict[str, int] = {"times": len(description.times), "shard": writer.shard}
        for variable, packing in zip(description.variables, packings, strict=True):
            add_variable(writer.group, variable, packing, description.grid, tile=config.tile, **size)
        add_summary(writer.group, description.variables, **size)
        writer.tally = Tally(description.variables, packings, description.step)
        return writer

    @classmethod
    def resume(cls, path: Path, description: Description, config: SourceConfig) -> StoreWriter:
        """Go on where the progress file says that a writer stood; its last shard, if incomplete, is filled anew."""
        writer = cls(path, description, config)
        found = Consumed.read(path)
        whole = len(found.times) // writer.shard * writer.shard
        writer.done, rest = found.cut(whole)
        last = (writer.done.times[-1], writer._stored(whole - 1, 1)[0]) if whole else None
        reopened = zip(rest.times, writer._stored(whole, len(rest.times)), strict=True)
        writer.tally = Tally(description.variables, writer.packings, description.step, last)
        writer.done.write(path)  # first: what is reopened is no longer in the store
        writer.discard_unfinished()
        writer.resize(len(description.times))
        writer._append_again(rest, dict(reopened))
        return writer

    def discard_unfinished(self) -> None:
        """Remove what was being written when the job was killed, and the shard that is filled anew."""
        for stray in list(self.path.rglob("*.partial")):  # zarr's temporary files
            remove(stray)
        first = len(self.done.times) // self.shard
        for name in self.arrays:
            for folder in (self.path / name / "c").glob("*"):
                if int(folder.name) >= first:
                    remove(folder)

    @property
    def consumed(self) -> int:
        """How many of the description's times were appended or quarantined."""
        return len(self.done) + len(self._waiting)

    @cached_property
    def shard(self) -> int:
        """Times in a shard."""
        return shard_of(self.description)

    @cached_property
    def packings(self) -> tuple[Packing, ...]:
        """The packing of each variable, as the store has it."""
        attributes: list[Any] = [self.group[variable.name].attrs for variable in self.description.variables]
        return tuple(Packing(scale_factor=each["scale_factor"], add_offset=each["add_offset"]) for each in attributes)

    @property
    def arrays(self) -> list[str]:
        """The paths of what is written shard by shard."""
        return time_arrays(self.description.variables)

    def append(self, time: np.datetime64, outcome: Checked | WMLError) -> None:
        """Take one time: its packed fields, or the reason why it is left out."""
        if isinstance(outcome, WMLError):
            self.done.quarantined[stamp(time)] = str(outcome)
            return
        rows, repeated = self.tally.add(time, outcome.fields)
        self.done.findings += [{"time": stamp(time), **finding} for finding in (*outcome.findings, *repeated)]
        self._waiting.append((time, outcome.fields, rows))
        if len(self._waiting) == self.shard:
            self.flush()

    def flush(self) -> None:
        """Write the waiting times as a shard, then the progress."""
        if self._waiting:
            times, frames, rows = zip(*self._waiting, strict=True)
            start = len(self.done.times)
            shard = str(start // self.shard)
            for variable in self.description.variables:
                file = self.path / variable.name / "c" / shard / "0" / "0"
                write_shard(file, [frame[variable.name] for frame in frames], self.shard)
            for name, block in summary_blocks(self.description.variables, rows).items():
                self._array(name)[start : start + len(block)] = block
            for name in self.arrays:
                sync(self.path / name / "c" / shard)
            self.done.times += times
            self._waiting = []
        self.done.write(self.path)

    def finish(self, splits: Splits) -> None:
        """Cut the arrays to the times that are there, and write time, splits and statistics.

        Raises:
            BadDataError: none of them is in the training split.
        """
        times, (first, last) = np.array(self.done.times, dtype="datetime64[s]"), splits["train"]
        train = (times >= first) & (times <= last)
        if not train.any():
            left_out = "; ".join(list(self.done.quarantined.values())[:3])
            raise BadDataError(f"training split {first}Z to {last}Z: no usable time; {left_out}")
        self.resize(len(times))
        add_array(self.group, "time", times.astype(np.int64), ("time",), TIME_ATTRIBUTES)
        self.group.attrs["splits"] = {name: [str(end) for end in ends] for name, ends in splits.items()}
        found = Statistics.of(read_array(self.path, self.group, f"{SUMMARY}/moments")[train])
        statistics = self.group.create_group("statistics", overwrite=True)
        for name in STATISTICS:
            add_array(statistics, name, getattr(found, name), ("channel",), {})
        statistics.attrs["channel"] = [variable.name for variable in self.description.variables]

    def resize(self, times: int) -> None:
        """Let all arrays over time be `times` long."""
        for name in self.arrays:
            array = self._array(name)
            array.resize((times, *array.shape[1:]))

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array

    def _stored(self, start: int, count: int) -> list[dict[str, Encoded]]:
        """The fields of `count` stored times."""
        rows = slice(start, start + count)
        fields = {v.name: read_array(self.path, self.group, v.name, rows) for v in self.description.variables}
        tile = self.config.tile
        return [{name: Encoded.of(block[index], tile) for name, block in fields.items()} for index in range(count)]

    def _append_again(self, rest: Consumed, frames: dict[np.datetime64, dict[str, Encoded]]) -> None:
        for time in rest.all_times:
            if time not in frames:
                self.append(time, BadDataError(rest.quarantined[stamp(time)]))
                continue
            here = [each for each in rest.findings if each["time"] == stamp(time)]
            kept = [each for each in here if each["finding"] != REPEATED]  # found again as it is appended
            findings = tuple({key: each[key] for key in each if key != "time"} for each in kept)
            self.append(time, Checked(fields=frames[time], findings=findings))


def shard_of(description: Description) -> int:
    """Times in a shard of what is described."""
    H, W = description.grid.shape
    return shard_length(description.step, len(description.times), H * W * 2 * len(description.variables))


def time_arrays(variables: Sequence[Variable]) -> list[str]:
    """The paths of the arrays that are written shard by shard."""
    return [*(variable.name for variable in variables), *summary_arrays(variables)]


def global_attributes(description: Description, config: SourceConfig, packings: tuple[Packing, ...]) -> dict[str, Any]:
    """What the root group says of the whole; the splits come last, when all times are known."""
    table = {
        variable.name: variable.settings() | {"packing_step": packing.scale_factor, "add_offset": packing.add_offset}
        for variable, packing in zip(description.variables, packings, strict=True)
    }
    return {
        "Conventions": CONVENTIONS,
        "title": f"{config.kind} dataset",
        **description.attributes,
        KEY: SCHEMAS["dataset"].current,
        "task": "forecast",
        "source_config": config.settings(),  # CF keeps `source` for words
        "grid_kind": description.grid.kind,
        "grid_digest": description.grid.digest,
        "time_step_seconds": int(description.step / np.timedelta64(1, "s")),
        "variables": list(table),
        "variable_table": table,
    }
