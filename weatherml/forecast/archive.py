"""Forecasts that a weather service made, from its archive into a forecast store: a baseline that `evaluate` scores.

Each lead time is a source of its own, so that region, thinning and derived variables hold as for a dataset.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import dump
from weatherml.data.packing import Packing, choose_packing
from weatherml.data.prepare import Options
from weatherml.data.workers import Outcome, each_time
from weatherml.errors import BadDataError, WMLError
from weatherml.files import output_lock, read_json, refuse_existing, require_free, write_json
from weatherml.forecast.store import ForecastWriter, needed_bytes
from weatherml.grid import Grid
from weatherml.progress import Progress, silent
from weatherml.signals import stop_request
from weatherml.sources.base import Description, Frame, Source
from weatherml.sources.hrrr import HRRR
from weatherml.variables import Variable

Array = npt.NDArray[Any]
Pair = tuple[np.datetime64, np.datetime64]
"""Initial and valid time of a state."""

MISSING = "missing.json"


@dataclass(frozen=True, kw_only=True)
class ForecastSource(Source):
    """Forecasts by their states: a time to read is a pair, initial and valid.

    Attributes:
        leads: the source of each lead time; their times are valid times.
    """

    leads: Mapping[np.timedelta64, Source]

    @property
    def isolated(self) -> bool:  # type: ignore[override]
        """That of the archive."""
        return next(iter(self.leads.values())).isolated

    @property
    def threads(self) -> int:  # type: ignore[override]
        """Those of the archive."""
        return next(iter(self.leads.values())).threads

    def describe(self) -> Description:
        """That of the first lead time.

        Raises:
            BadDataError: another one has other variables or another grid.
        """
        return self._description

    @cached_property
    def _description(self) -> Description:
        first, *others = (source.describe() for source in self.leads.values())
        for lead, other in zip(list(self.leads)[1:], others, strict=True):
            if difference := _difference(first, other):
                raise BadDataError(f"lead {_hours(lead)} h: {difference}; set variables to what all leads have")
        return first

    @cached_property
    def pairs(self) -> set[Pair]:
        """Initial and valid time of every state that is there."""
        return {(time - lead, time) for lead, source in self.leads.items() for time in source.describe().times}

    def absence(self, initial: np.datetime64, valid: np.datetime64) -> BadDataError:
        """Why there is no such state."""
        reasons = self.leads[valid - initial].describe().quarantined
        return BadDataError(reasons.get(f"{valid}Z", f"{valid}Z: not in the archive"))

    def narrowed(self, time: Any) -> ForecastSource:
        """This one state's source."""
        initial, valid = time
        return replace(self, leads={valid - initial: self.leads[valid - initial].narrowed(valid)})

    def read(self, times: Array) -> Iterator[Frame]:
        """The states of (N, 2) initial and valid times."""
        for initial, valid in times:
            yield from self.leads[valid - initial].read(np.array([valid]))


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

    Raises:
        MissingInputError: no input, or a lead time that the archive has at no initial time.
        BadDataError: inputs that cannot be one forecast store.
        OutputError: the output exists or is being written.
        DiskError: too little room.
        TemporaryError: the archive does not answer; run again, it goes on behind the last whole forecast.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=options.overwrite)
        source = ForecastSource(leads=config.forecasts(inputs))
        description = source.describe()
        kind = layout(description, next(iter(source.leads)))
        init_times = np.array(sorted({initial for initial, _ in source.pairs}), "datetime64[s]")
        writer = ForecastWriter(output, request(config, source))
        sizes = (len(init_times), len(source.leads))
        require_free(output, needed_bytes(kind, sizes, None, ()) - writer.written)
        writer.create(kind, init_times, len(source.leads), global_attributes(config, kind, description))
        write_forecasts(writer, source, init_times, options, progress)
        missing = missing_states(writer)
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


def request(config: HRRR, source: ForecastSource) -> dict[str, Any]:
    """What must be equal for an unfinished store to be gone on with."""
    inputs = [sorted(each.describe().inputs.items()) for each in source.leads.values()]
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
    writer: ForecastWriter, source: ForecastSource, init_times: Array, options: Options, progress: Progress
) -> None:
    """Read and write every forecast that the writer does not have yet.

    Raises:
        StoppedError: a signal came; whole forecasts are kept.
    """
    steps, names = len(source.leads), tuple(layer.name for layer in writer.variables)
    left = [row for row in range(len(init_times)) if row not in writer.done]
    pairs = {row: [(init_times[row], init_times[row] + lead) for lead in source.leads] for row in left}
    there = np.array([pair for row in left for pair in pairs[row] if pair in source.pairs])
    outcomes = each_time(source, there, partial(_stacked, names=names), workers=options.workers, dask=options.dask)
    with stop_request() as stop:
        for row in left:
            missing: dict[str, str] = {}
            states, written = _states(source, pairs[row], outcomes, missing), 0
            while block := list(islice(states, writer.shard)):
                writer.write([row], written, np.stack(block)[None])
                written += len(block)
                progress(len(writer.done) * steps + written, len(init_times) * steps)
                stop.raise_if_set(f"{writer.output}: stopped after {len(writer.done)} of {len(init_times)} forecasts")
            note_missing(writer, f"{init_times[row]}Z", missing)
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
            missing[f"{_hours(valid - initial)} h"] = str(outcome)
            outcome = np.full(shape, np.nan, np.float32)
        yield outcome


def _stacked(frame: Frame, names: Sequence[str]) -> Array:
    return np.stack([frame[name] for name in names])


def missing_states(writer: ForecastWriter) -> dict[str, dict[str, str]]:
    """Why states are missing, by initial time and lead, so far."""
    path = writer.work / MISSING
    return read_json(path) if path.is_file() else {}


def note_missing(writer: ForecastWriter, initial: str, missing: dict[str, str]) -> None:
    """Keep why states of one forecast are missing, for a job that goes on behind it."""
    if missing:
        write_json(writer.work / MISSING, missing_states(writer) | {initial: missing})


def _difference(first: Description, other: Description) -> str:
    """In words, what sets two lead times apart; empty where nothing does."""
    names, others = ([variable.name for variable in each.variables] for each in (first, other))
    return (
        f"{', '.join(others)} instead of {', '.join(names)}" if names != others else first.grid.difference(other.grid)
    )


def _hours(lead: np.timedelta64) -> str:
    return f"{lead / np.timedelta64(1, 'h'):g}"
