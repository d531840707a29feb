"""Forecasts that a weather service made, from its archive into a forecast store: a baseline that `evaluate` scores.

Several models, or runs that began one after the other, may be the members of an ensemble: a row of the store is one
member's forecast.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import dump
from weatherml.data.packing import Packing, choose_packing
from weatherml.data.prepare import Options
from weatherml.data.workers import Outcome, each_time
from weatherml.errors import WMLError
from weatherml.files import output_lock, read_json, refuse_existing, require_free, write_json
from weatherml.forecast.archive_source import ForecastSource, Pair, common_description, hours_of, whole_cases
from weatherml.forecast.store import ForecastWriter, needed_bytes
from weatherml.grid import Grid
from weatherml.progress import Progress, silent
from weatherml.signals import stop_request
from weatherml.sources.base import Description, Frame
from weatherml.sources.hrrr import HRRR
from weatherml.variables import Variable

Array = npt.NDArray[Any]
MISSING = "missing.json"


@dataclass(frozen=True, kw_only=True)
class ArchivedForecasts:
    """What a forecast store is laid out by.

    Attributes:
        variables: the channels, in order.
        packings: how those with a declared step are packed.
        grid: of all.
        step: between lead times.
    """

    variables: tuple[Variable, ...]
    packings: tuple[Packing | None, ...]
    grid: Grid
    step: np.timedelta64


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What was written.

    Attributes:
        path: zarr store or NetCDF file.
        init_times: (N,) datetime64.
        missing: why states are missing, by initial time and lead.
    """

    path: Path
    init_times: Array
    missing: dict[str, dict[str, str]]


def prepare_forecasts(
    config: HRRR, inputs: Sequence[str], output: Path, *, options: Options, progress: Progress = silent
) -> Stored:
    """Store the forecasts of the chosen initial times, up to `config.forecast_hours`; missing states are missing.

    An initial time at which a whole member is missing is left out.

    Raises:
        MissingInputError: no input, or a lead time that the archive has at no initial time.
        BadDataError: inputs that cannot be one forecast store.
        OutputError: the output exists or is being written.
        DiskError: too little room.
        TemporaryError: the archive does not answer; run again, it goes on behind the last whole forecast.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=options.overwrite)
        members = [ForecastSource(leads=leads) for leads in config.forecasts(inputs)]
        description, leads = common_description(members), members[0].leads
        kind = layout(description, next(iter(leads)))
        init_times, left_out = whole_cases(members)
        writer = ForecastWriter(output, request(config, members), len(members) if len(members) > 1 else None)
        sizes = (len(init_times), len(leads))
        require_free(output, needed_bytes(kind, sizes, writer.members, ()) - writer.written)
        writer.create(kind, init_times, len(leads), global_attributes(config, kind, description))
        for member, source in enumerate(members):
            write_forecasts(writer, source, init_times, options, progress, member=member)
        missing = left_out | missing_states(writer)
        writer.group.attrs["missing"] = missing
        writer.finish()
    return Stored(path=output, init_times=init_times, missing=missing)


def layout(description: Description, step: np.timedelta64) -> ArchivedForecasts:
    """The store's layout; a variable without a declared packing stays float32."""
    return ArchivedForecasts(
        variables=description.variables,
        packings=tuple(
            None if variable.packing_step is None else choose_packing(variable, np.nan, np.nan)
            for variable in description.variables
        ),
        grid=description.grid,
        step=step,
    )


def request(config: HRRR, members: Sequence[ForecastSource]) -> dict[str, Any]:
    """What must be equal for an unfinished store to be gone on with."""
    inputs = [sorted(each.describe().inputs.items()) for source in members for each in source.leads.values()]
    return {"config": config.digest(), "inputs": hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}


def global_attributes(config: HRRR, kind: ArchivedForecasts, description: Description) -> dict[str, Any]:
    """The forecasts' global attributes: what they are, and whence."""
    return {
        "title": f"{config.kind} forecast",
        "model": config.kind,
        **description.attributes,
        "grid_kind": kind.grid.kind,
        "variables": [variable.name for variable in kind.variables],
        "configuration": dump(config.settings()),
    }


def write_forecasts(
    writer: ForecastWriter,
    source: ForecastSource,
    init_times: Array,
    options: Options,
    progress: Progress,
    *,
    member: int,
) -> None:
    """Read and write every forecast of a member that the writer does not have yet.

    Raises:
        StoppedError: a signal came; whole forecasts are kept.
    """
    steps, names = len(source.leads), tuple(layer.name for layer in writer.variables)
    rows = {case * (writer.members or 1) + member: time for case, time in enumerate(init_times)}
    total = len(rows) * (writer.members or 1)
    pairs = {
        row: [(time, time + lead) for lead in source.leads] for row, time in rows.items() if row not in writer.done
    }
    there = np.array([pair for row in pairs for pair in pairs[row] if pair in source.pairs])
    outcomes = each_time(source, there, partial(_stacked, names=names), workers=options.workers, dask=options.dask)
    with stop_request() as stop:
        for row, wanted in pairs.items():
            missing: dict[str, str] = {}
            states, written = _states(source, wanted, outcomes, missing), 0
            while block := list(islice(states, writer.shard)):
                writer.write([row], written, np.stack(block)[None])
                written += len(block)
                progress(len(writer.done) * steps + written, total * steps)
                stop.raise_if_set(f"{writer.output}: stopped after {len(writer.done)} of {total} forecasts")
            note_missing(writer, row, f"{rows[row]}Z", missing)
            writer.complete([row], {})


def _states(
    source: ForecastSource, pairs: Sequence[Pair], outcomes: Iterator[Outcome[Array]], missing: dict[str, str]
) -> Iterator[Array]:
    """(C, H, W) of each lead of one forecast, NaN where there is none: then `missing` is told why, by lead."""
    shape = (len(source.describe().variables), *source.describe().grid.shape)
    for initial, valid in pairs:
        there = (initial, valid) in source.pairs
        outcome = next(outcomes)[1] if there else source.absence(initial, valid)
        if isinstance(outcome, WMLError):
            missing[f"{hours_of(valid - initial)} h"] = str(outcome)
            outcome = np.full(shape, np.nan, np.float32)
        yield outcome


def _stacked(frame: Frame, names: Sequence[str]) -> Array:
    return np.stack([frame[name] for name in names])


def missing_states(writer: ForecastWriter) -> dict[str, dict[str, str]]:
    """Why states are missing, by initial time and lead, so far."""
    path = writer.work / MISSING
    return read_json(path) if path.is_file() else {}


def note_missing(writer: ForecastWriter, row: int, initial: str, missing: dict[str, str]) -> None:
    """Keep why states of one forecast are missing, for a job that goes on behind it."""
    if missing:
        member = "" if writer.members is None else f"member {row % writer.members}, "
        noted = missing_states(writer)
        named = {f"{member}{lead}": reason for lead, reason in missing.items()}
        write_json(writer.work / MISSING, noted | {initial: noted.get(initial, {}) | named})
