"""The first stage: an archive becomes a dataset, time after time, resumable and whole or absent.

Each time is read, checked and packed (in worker processes where decoders may crash); a shard of about
a day is written at once, then the progress file, so that a killed job goes on at the last shard. At
the end statistics, quality report, manifest and metadata are written, the marker last, and the store
is renamed to its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import dump
from weatherml.data.layout import SCHEMA, consolidate
from weatherml.data.manifest import manifest
from weatherml.data.packing import Packing, choose_packing
from weatherml.data.quality import check_and_pack, gaps
from weatherml.data.store import Dataset, open_dataset, write_marker
from weatherml.data.windows import split_times
from weatherml.data.workers import each_time
from weatherml.data.writer import PROGRESS, StoreWriter
from weatherml.errors import BadDataError, WMLError
from weatherml.files import (
    output_lock,
    partial_path,
    publish,
    read_json,
    refuse_existing,
    remove,
    require_free,
    write_json,
    write_text,
)
from weatherml.progress import Progress, silent
from weatherml.signals import stop_request
from weatherml.sources.base import Description, Frame, Source, SourceConfig

Array = npt.NDArray[Any]
REQUEST = "request.json"
UNDECLARED_FILL = 1e30
"""Larger values are fill values that a file does not declare (NetCDF's own is 9.97e36): they set no range."""


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

    Raises:
        MissingInputError: no input.
        BadDataError: inputs that cannot be one dataset.
        OutputError: the output exists or is being written.
        DiskError: too little room.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=options.overwrite)
        source = config.build(inputs)
        description = source.describe()
        if len(description.times) == 0:
            raise BadDataError(f"{', '.join(inputs) or config.kind}: no usable time; {_reasons(description)}")
        partial_store = partial_path(output)
        writer = _resume(partial_store, config, description) or _begin(
            partial_store, config, description, packings(source, description, options)
        )
        fill(writer, source, options, progress)
        finish(writer, config, description)
        publish(partial_store, output)
    return open_dataset(output)


def packings(source: Source, description: Description, options: Options) -> tuple[Packing, ...]:
    """A packing for each variable; those with neither a declared step nor a range are read once to learn it."""
    ranges = {variable.name: (variable.valid_min, variable.valid_max) for variable in description.variables}
    unknown = [v.name for v in description.variables if v.packing_step is None and None in ranges[v.name]]
    if unknown:
        ranges |= learn_ranges(source, description.times, unknown, options)
    return tuple(
        choose_packing(v, *(np.nan if end is None else end for end in ranges[v.name])) for v in description.variables
    )


def learn_ranges(source: Source, times: Array, names: list[str], options: Options) -> dict[str, tuple[float, float]]:
    """The smallest and largest value of each variable over all times."""
    extremes = each_time(source, times, partial(_extremes, names=names), workers=options.workers, dask=options.dask)
    found = [each for _, each in extremes if not isinstance(each, WMLError)]
    if not found:
        raise BadDataError(f"{', '.join(names)}: no readable time; check the input")
    low, high = np.fmin.reduce([f[0] for f in found]), np.fmax.reduce([f[1] for f in found])
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def _extremes(frame: Frame, names: list[str]) -> tuple[list[float], list[float]]:
    known = [frame[name][np.abs(frame[name]) < UNDECLARED_FILL] for name in names]
    return (
        [float(values.min()) if values.size else np.nan for values in known],
        [float(values.max()) if values.size else np.nan for values in known],
    )


def fill(writer: StoreWriter, source: Source, options: Options, progress: Progress) -> None:
    """Read, check, pack and append every time that the writer has not consumed yet."""
    times, start = writer.description.times, writer.consumed
    then = partial(check_and_pack, variables=writer.description.variables, packings=writer.packings)
    with stop_request() as stop:
        for time, outcome in each_time(source, times[start:], then, workers=options.workers, dask=options.dask):
            writer.append(time, outcome)
            progress(writer.consumed, len(times))
            stop.raise_if_set(f"{writer.path}: stopped after {writer.consumed} of {len(times)} times")
    writer.flush()


def finish(writer: StoreWriter, config: SourceConfig, description: Description) -> None:
    """Write everything that is known only at the end; the marker last."""
    writer.finish()
    consolidate(writer.path)
    write_json(writer.path / "quality.json", quality_report(writer, description))
    write_json(writer.path / "manifest.json", {"inputs": manifest(description.inputs)})
    write_text(writer.path / "config.yaml", dump(config.settings()))
    remove(writer.path / PROGRESS)  # only now: hashing the inputs of a year takes long enough to be killed in
    remove(writer.path / REQUEST)
    write_marker(writer.path, "dataset", SCHEMA)


def quality_report(writer: StoreWriter, description: Description) -> dict[str, Any]:
    """What was missing, quarantined, out of range or constant, and why."""
    times = np.array(writer.times, dtype="datetime64[s]")
    quarantined = description.quarantined | writer.quarantined
    return {
        "times": len(times),
        "first": f"{times[0]}Z",
        "last": f"{times[-1]}Z",
        "missing": [time for time in gaps(times, description.step) if time not in quarantined],
        "quarantined": quarantined,
        "findings": writer.findings,
        "notes": list(description.notes),
    }


def _request(config: SourceConfig, description: Description) -> dict[str, Any]:
    """What must be equal for an unfinished store to be gone on with."""
    return {
        "config": config.digest(),
        "inputs": description.inputs,
        "grid": description.grid.digest,
        "times": [str(description.times[0]), str(description.times[-1]), len(description.times)],
    }


def _resume(path: Path, config: SourceConfig, description: Description) -> StoreWriter | None:
    if not (path / PROGRESS).is_file() or not (path / REQUEST).is_file():
        return None
    if read_json(path / REQUEST) != _request(config, description):
        return None
    return StoreWriter.resume(path, description, config)


def _begin(path: Path, config: SourceConfig, description: Description, chosen: tuple[Packing, ...]) -> StoreWriter:
    splits = split_times(description.times, config.split)
    remove(path)
    H, W = description.grid.shape
    require_free(path, len(description.times) * len(description.variables) * H * W * 2)
    writer = StoreWriter.create(path, description, config, chosen, splits=splits)
    write_json(path / REQUEST, _request(config, description))
    return writer


def _reasons(description: Description) -> str:
    return "; ".join([*description.quarantined.values(), *description.notes][:3]) or "check the input"
