"""What preparing an archive will take, before hours are spent on it: from the first times, nothing written."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import MemoryStore

from weatherml.data.child import spared
from weatherml.data.consumed import stamp
from weatherml.data.layout import add_array, add_grid
from weatherml.data.opening import opened
from weatherml.data.packing import Packing
from weatherml.data.prepare import Options
from weatherml.data.ranges import packings
from weatherml.data.tally import Tally
from weatherml.data.timed import Timed, measured
from weatherml.data.workers import each_time
from weatherml.errors import BadDataError, WMLError
from weatherml.files import free_bytes
from weatherml.sources.base import Description, Source, SourceConfig, utc

Array = npt.NDArray[Any]
SAMPLE = 2
"""Times that are read: at the first one the decoder's libraries are loaded too."""
MOST_TRIED = 8


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a preparation will take.

    Attributes:
        times: how many there are.
        first: the first of them.
        last: the last.
        missing: absent between these two, ISO 8601 UTC.
        out_of_reach: asked for by `start` and `end`, before the first or after the last.
        quarantined: there but not usable, with the reason.
        fetch_bytes: the size of all inputs.
        store_bytes: the size of the dataset.
        free_bytes: room on its disk.
        seconds: until it is there.
    """

    times: int
    first: str
    last: str
    missing: list[str]
    out_of_reach: list[str]
    quarantined: dict[str, str]
    fetch_bytes: int
    store_bytes: int
    free_bytes: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.store_bytes <= self.free_bytes


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one time costs.

    Attributes:
        read_seconds: in a worker: to read, check and pack it.
        write_seconds: in the one process that writes.
        bytes: in the store.
    """

    read_seconds: float
    write_seconds: float
    bytes: int


def estimate(config: SourceConfig, inputs: Sequence[str], output: Path, *, options: Options) -> Estimate:
    """Find what `prepare` with the same arguments will take.

    Raises:
        MissingInputError: no input.
        BadDataError: inputs that cannot be one dataset, or of whose first times none can be read.
    """
    with spared():
        source, description = opened(config, inputs)
        few = replace(description, times=description.times[:MOST_TRIED])
        sample = replace(few, times=few.times[:SAMPLE])
        chosen = packings(source, sample, workers=options.workers, dask=options.dask)
        cost = time_cost(source, few, config, chosen, options)
    count = len(description.times)
    reading = count * cost.read_seconds / at_once(source, options)
    writing = count * cost.write_seconds
    missing, out_of_reach = absent(description, config)
    return Estimate(
        times=count,
        first=stamp(description.times[0]),
        last=stamp(description.times[-1]),
        missing=missing,
        out_of_reach=out_of_reach,
        quarantined=description.quarantined,
        fetch_bytes=sum(description.inputs.values()),
        store_bytes=count * cost.bytes + fixed_bytes(description),
        free_bytes=free_bytes(output),
        seconds=max(reading, writing) if source.isolated else reading + writing,
    )


def at_once(source: Source, options: Options) -> int:
    """How many times are read at the same time."""
    return options.workers * source.threads if source.isolated and not source.in_slabs else 1


def absent(description: Description, config: SourceConfig) -> tuple[list[str], list[str]]:
    """The times that were asked for and are not there: between the first and the last, and outside of these."""
    times, step = description.times, description.step
    start = utc(config.start, "start") if config.start else times[0]
    end = utc(config.end, "end") if config.end else times[-1]
    steps = np.arange(-((times[0] - start) // step), (end - times[0]) // step + 1)
    wanted = np.setdiff1d(config.within(times[0] + steps * step), times)
    inside = (wanted > times[0]) & (wanted < times[-1])
    between, outside = ([stamp(at) for at in wanted[part]] for part in (inside, ~inside))
    return [at for at in between if at not in description.quarantined], outside


def time_cost(
    source: Source, description: Description, config: SourceConfig, packings: tuple[Packing, ...], options: Options
) -> Cost:
    """Read the first sound times, and pack and compress them as the store does.

    Raises:
        BadDataError: none of `description.times` can be read.
    """
    then = partial(measured, description=description, packings=packings, tile=config.tile)
    outcomes = each_time(Timed(source=source), description.times, then, workers=1, dask=options.dask)
    tally, costs, reason = Tally(description.variables, packings, description.step), [], ""
    for time, outcome in outcomes:
        if isinstance(outcome, WMLError):
            reason = str(outcome)
            continue
        checked, read_seconds = outcome
        began = clock.perf_counter()
        tally.add(time, checked.fields)
        stored = sum(len(chunk) for field in checked.fields.values() for chunk in field.chunks)
        costs.append(Cost(read_seconds=read_seconds, write_seconds=clock.perf_counter() - began, bytes=stored))
        if len(costs) == SAMPLE:
            break
    if not costs:
        raise BadDataError(f"first {len(description.times)} times: none can be read ({reason}); check the input")
    return Cost(
        read_seconds=min(cost.read_seconds for cost in costs),
        write_seconds=max(cost.write_seconds for cost in costs),  # the first has no change from one before
        bytes=max(cost.bytes for cost in costs),
    )


def fixed_bytes(description: Description) -> int:
    """Bytes of what does not change: coordinates and static fields."""
    group = zarr.open_group(MemoryStore(), mode="w", zarr_format=3)
    add_grid(group, description.grid)
    for name, static in description.static.items():
        add_array(group, name, static.values.astype(np.float32), description.grid.dims, static.attributes)
    return sum(array.nbytes_stored() for _, array in group.arrays())
