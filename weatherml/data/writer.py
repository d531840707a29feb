"""Appends times to an unfinished dataset, a shard at a time, and keeps what is needed to go on after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.layout import (
    CONVENTIONS,
    MAPPING,
    SCHEMA,
    TIME_ATTRIBUTES,
    add_array,
    add_grid,
    add_variable,
    shard_length,
    variable_attributes,
)
from weatherml.data.packing import Packing
from weatherml.data.quality import Checked
from weatherml.data.statistics import STATISTICS
from weatherml.data.store import Part
from weatherml.data.tally import Tally, last_fields
from weatherml.errors import BadDataError, WMLError
from weatherml.files import read_json, remove, sync, write_json
from weatherml.sources.base import Description, SourceConfig
from weatherml.variables import Variable

Array = npt.NDArray[Any]
PROGRESS = "progress.json"
RESERVED = frozenset({"statistics", "time", "y", "x", "latitude", "longitude", MAPPING})


class StoreWriter:
    """The only hand that writes a dataset.

    Attributes:
        consumed: how many of the description's times were appended or quarantined.
        times: the times in the store, in order.
        tally: statistics of the training split so far.
        findings: what the quality checks found, for quality.json.
        quarantined: times left out, with the reason.
    """

    tally: Tally

    def __init__(self, path: Path, description: Description, config: SourceConfig) -> None:
        self.path = path
        self.description = description
        self.config = config
        # consolidated metadata may be there if a job was killed at its end; they are written again
        self.group = zarr.open_group(str(path), mode="a", zarr_format=3, use_consolidated=False)
        self.consumed = 0
        self.times: list[np.datetime64] = []
        self.findings: list[dict[str, Any]] = []
        self.quarantined: dict[str, str] = {}
        self._waiting: list[tuple[np.datetime64, dict[str, Array]]] = []

    @classmethod
    def create(
        cls,
        path: Path,
        description: Description,
        config: SourceConfig,
        packings: tuple[Packing, ...],
        *,
        splits: Mapping[Part, tuple[np.datetime64, np.datetime64]],
    ) -> StoreWriter:
        """Lay out an empty store.

        Raises:
            BadDataError: a variable under a name that the store needs itself.
        """
        for name in RESERVED.intersection(variable.name for variable in description.variables):
            raise BadDataError(f"{name}: a name that the store needs itself; rename the variable (source_name)")
        writer = cls(path, description, config)
        writer.tally = Tally(splits["train"], description.step)
        writer.group.attrs.update(global_attributes(description, config, packings, splits))
        add_grid(writer.group, description.grid)
        for name, static in description.static.items():
            mapped = variable_attributes(Variable(name=name, units="1"), description.grid) | static.attributes
            add_array(writer.group, name, static.values.astype(np.float32), description.grid.dims, mapped)
        length = writer.shard
        for variable, packing in zip(description.variables, packings, strict=True):
            add_variable(
                writer.group,
                variable,
                packing,
                description.grid,
                times=len(description.times),
                shard=length,
                tile=config.tile,
            )
        return writer

    @classmethod
    def resume(cls, path: Path, description: Description, config: SourceConfig) -> StoreWriter:
        """Go on where the progress file says that a killed writer stood."""
        writer = cls(path, description, config)
        state = read_json(path / PROGRESS)
        writer.consumed = state["consumed"]
        writer.times = [np.datetime64(time, "s") for time in state["times"]]
        writer.findings, writer.quarantined = state["findings"], state["quarantined"]
        writer.discard_unfinished()
        last = last_fields(writer.group, list(state["moments"]), writer.times)
        writer.tally = Tally.resume(writer.train, description.step, state["moments"], last)
        return writer

    def discard_unfinished(self) -> None:
        """Remove what was being written when the job was killed."""
        for stray in list(self.path.rglob("*.partial")):  # zarr's temporary files
            remove(stray)
        first = -(-len(self.times) // self.shard)
        for variable in self.description.variables:
            for folder in (self.path / variable.name / "c").glob("*"):
                if int(folder.name) >= first:
                    remove(folder)

    @property
    def train(self) -> tuple[np.datetime64, np.datetime64]:
        """First and last time of the training split."""
        splits: Any = self.group.attrs["splits"]
        first, last = (np.datetime64(end, "s") for end in splits["train"])
        return first, last

    @property
    def shard(self) -> int:
        """Times in a shard."""
        H, W = self.description.grid.shape
        return shard_length(
            self.description.step, len(self.description.times), H * W * 2 * len(self.description.variables)
        )

    @property
    def packings(self) -> tuple[Packing, ...]:
        """The packing of each variable, as the store has it."""
        attributes: list[Any] = [self.group[variable.name].attrs for variable in self.description.variables]
        return tuple(Packing(scale_factor=each["scale_factor"], add_offset=each["add_offset"]) for each in attributes)

    def append(self, time: np.datetime64, outcome: Checked | WMLError) -> None:
        """Take one time: its packed fields, or the reason why it is left out."""
        self.consumed += 1
        stamp = f"{time}Z"
        if isinstance(outcome, WMLError):
            self.quarantined[stamp] = str(outcome)
            return
        self.findings += [{"time": stamp, **finding} for finding in outcome.findings]
        self._waiting.append((time, outcome.packed))
        if len(self._waiting) == self.shard:
            self.flush()

    def flush(self) -> None:
        """Write the waiting times as a shard, then the progress."""
        if self._waiting:
            times, frames = zip(*self._waiting, strict=True)
            start = len(self.times)
            for variable, packing in zip(self.description.variables, self.packings, strict=True):
                block = np.stack([frame[variable.name] for frame in frames])
                array = self.group[variable.name]
                assert isinstance(array, zarr.Array)
                array[start : start + len(block)] = block
                sync(self.path / variable.name / "c" / str(start // self.shard))
                self.findings += self.tally.add(variable, packing, np.array(times), block)
            self.times += times
            self._waiting = []
        write_json(self.path / PROGRESS, self._progress())

    def finish(self) -> None:
        """Cut the arrays to the times that are there, and write time and statistics."""
        if not self.tally.moments:
            left_out = "; ".join(list(self.quarantined.values())[:3])
            raise BadDataError(f"training split {self.train[0]}Z to {self.train[1]}Z: no usable time; {left_out}")
        for variable in self.description.variables:
            array = self.group[variable.name]
            assert isinstance(array, zarr.Array)
            array.resize((len(self.times), *array.shape[1:]))
        seconds = np.array(self.times, dtype="datetime64[s]").astype(np.int64)
        add_array(self.group, "time", seconds, ("time",), TIME_ATTRIBUTES)
        statistics = self.group.create_group("statistics", overwrite=True)
        finished = [self.tally.moments[variable.name].finish() for variable in self.description.variables]
        for name in STATISTICS:
            add_array(statistics, name, np.array([each[name] for each in finished]), ("channel",), {})
        statistics.attrs["channel"] = [variable.name for variable in self.description.variables]

    def _progress(self) -> dict[str, Any]:
        return {
            "consumed": self.consumed,
            "times": [str(time) for time in self.times],
            "moments": self.tally.settings(),
            "findings": self.findings,
            "quarantined": self.quarantined,
        }


def global_attributes(
    description: Description,
    config: SourceConfig,
    packings: tuple[Packing, ...],
    splits: Mapping[Part, tuple[np.datetime64, np.datetime64]],
) -> dict[str, Any]:
    """What the root group says of the whole."""
    table = {
        variable.name: variable.settings() | {"packing_step": packing.scale_factor, "add_offset": packing.add_offset}
        for variable, packing in zip(description.variables, packings, strict=True)
    }
    return {
        "Conventions": CONVENTIONS,
        "title": f"{config.kind} dataset",
        **description.attributes,
        "schema": SCHEMA,
        "task": "forecast",
        "source_config": config.settings(),  # CF keeps `source` for words
        "grid_kind": description.grid.kind,
        "grid_digest": description.grid.digest,
        "time_step_seconds": int(description.step / np.timedelta64(1, "s")),
        "splits": {name: [str(first), str(last)] for name, (first, last) in splits.items()},
        "variables": list(table),
        "variable_table": table,
    }
