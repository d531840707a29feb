"""The first stage: an archive becomes a dataset, time after time, resumable and whole or absent.

Each time is read, checked and packed (in other processes where decoders may crash); a shard of about
a day is written at once, then the progress file, so that a killed job goes on at the last shard. At
the end statistics, quality report, manifest and metadata are written, the marker last, and the store
is renamed to its place. A finished store to which later times have come is gone on with in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import dump
from weatherml.data.child import spared
from weatherml.data.consumed import PROGRESS, Consumed, stamp
from weatherml.data.extension import (
    QUALITY,
    REQUEST,
    Request,
    require_later,
    standing_dataset,
    take_over,
    unfinished,
)
from weatherml.data.layout import consolidate
from weatherml.data.manifest import MANIFEST, manifest
from weatherml.data.opening import opened
from weatherml.data.packing import Packing
from weatherml.data.quality import check_and_pack, gaps
from weatherml.data.quality_page import write_page
from weatherml.data.ranges import packings
from weatherml.data.store import Dataset, open_dataset, write_marker
from weatherml.data.windows import split_times
from weatherml.data.workers import each_time
from weatherml.data.writer import StoreWriter
from weatherml.files import (
    output_lock,
    partial_path,
    publish,
    read_json,
    remove,
    require_free,
    sync,
    write_json,
    write_text,
)
from weatherml.progress import Progress, silent
from weatherml.signals import stop_request
from weatherml.sources.base import Description, Source, SourceConfig

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to prepare, apart from what.

    Attributes:
        workers: worker processes for sources that need them.
        dask: address of a dask scheduler to use instead.
        overwrite: replace a finished dataset.
    """

    workers: int = 2
    dask: str | None = None
    overwrite: bool = False


def prepare(
    config: SourceConfig,
    inputs: Sequence[str],
    output: Path,
    *,
    options: Options = Options(),
    progress: Progress = silent,
) -> Dataset:
    """Read the archive at `inputs` into a dataset at `output`.

    A finished dataset of the same configuration is extended where `end` is later or inputs with later times
    were added: its shards are kept, only the last one, where incomplete, is filled up. The result is byte
    for byte that of all times prepared at once, but where a variable's packing was learned from the data:
    then the packing of the times before is kept.

    Raises:
        MissingInputError: no input.
        BadDataError: inputs that cannot be one dataset.
        OutputError: the output is being written, or exists and there is nothing to add, or is not the
            beginning of what is asked for.
        DiskError: too little room.
    """
    with output_lock(output), spared():
        standing = None if options.overwrite else standing_dataset(output, config)
        source, description = opened(config, inputs)
        request = Request.of(config, description)
        if standing is not None:
            require_later(standing, request, description.times)
        partial_store = partial_path(output)
        if not unfinished(partial_store, request, description.times):
            remove(partial_store)
            split_times(description.times, config.split)  # before hours are spent on too few
            if standing is None or not Request.of_dataset(standing).divided_as(request):
                chosen = packings(source, description, workers=options.workers, dask=options.dask)
                _begin(partial_store, config, description, chosen)
            else:
                take_over(standing, partial_store, config, description)
        write_json(partial_store / REQUEST, asdict(request))
        writer = StoreWriter.resume(partial_store, description, config)
        fill(writer, source, options, progress)
        finish(writer, config, description)
        publish(partial_store, output)
    return open_dataset(output)


def fill(writer: StoreWriter, source: Source, options: Options, progress: Progress) -> None:
    """Read, check, pack and append every time that the writer has not consumed yet."""
    times, start = writer.description.times, writer.consumed
    variables, tile = writer.description.variables, writer.config.tile
    then = partial(check_and_pack, variables=variables, packings=writer.packings, tile=tile)
    with stop_request() as stop:
        for time, outcome in each_time(source, times[start:], then, workers=options.workers, dask=options.dask):
            writer.append(time, outcome)
            progress(writer.consumed, len(times))
            stop.raise_if_set(f"{writer.path}: stopped after {writer.consumed} of {len(times)} times")
    writer.flush()


def finish(writer: StoreWriter, config: SourceConfig, description: Description) -> None:
    """Write everything that is known only at the end; the marker last."""
    writer.finish(split_times(description.times, config.split))
    consolidate(writer.path)
    write_json(writer.path / QUALITY, quality_report(writer, description))
    known = read_json(writer.path / MANIFEST)["inputs"] if (writer.path / MANIFEST).is_file() else ()
    write_json(writer.path / MANIFEST, {"inputs": manifest(description.inputs, known)})
    write_text(writer.path / "config.yaml", dump(config.settings()))
    write_page(writer.path)
    sync(writer.path)
    remove(writer.path / PROGRESS)  # only now: hashing and syncing a year takes long enough to be killed in
    remove(writer.path / REQUEST)
    write_marker(writer.path, "dataset")


def quality_report(writer: StoreWriter, description: Description) -> dict[str, Any]:
    """What was missing, quarantined (by the source, or `unreadable` when read), out of range or constant, and why."""
    times = np.array(writer.done.times, dtype="datetime64[s]")
    quarantined = description.quarantined | writer.done.quarantined
    return {
        "times": len(times),
        "first": stamp(times[0]),
        "last": stamp(times[-1]),
        "missing": [time for time in gaps(times, description.step) if time not in quarantined],
        "quarantined": quarantined,
        "unreadable": list(writer.done.quarantined),
        "findings": writer.done.findings,
        "notes": list(description.notes),
    }


def _begin(path: Path, config: SourceConfig, description: Description, chosen: tuple[Packing, ...]) -> None:
    H, W = description.grid.shape
    require_free(path, len(description.times) * len(description.variables) * H * W * 2)
    StoreWriter.create(path, description, config, chosen)
    Consumed().write(path)
