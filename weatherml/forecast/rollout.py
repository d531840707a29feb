"""Roll a run out from initial times and stream the forecast to disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from weatherml.config import dump
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import WMLError
from weatherml.files import output_lock, refuse_existing, require_free
from weatherml.forecast.forcing import forcing_path, open_record
from weatherml.forecast.initial import initial_indices
from weatherml.forecast.roller import Roller
from weatherml.forecast.rows import Rows, forecast_rows
from weatherml.forecast.store import ForecastWriter, Layer, needed_bytes
from weatherml.progress import Progress, silent
from weatherml.run.device import Device, pick_device
from weatherml.run.directory import Run, open_run
from weatherml.run.stepping import reach

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What was written.

    Attributes:
        path: zarr store or NetCDF file.
        init_times: (N,) datetime64.
        steps: leads of each.
        members: of each initial time; 1 of a deterministic forecast.
    """

    path: Path
    init_times: Array
    steps: int
    members: int = 1


def rollout(
    run: Path,
    data: Path,
    *,
    forcing: Path | None = None,
    init: Sequence[str] = (),
    steps: int = 24,
    output: Path,
    device: Device = "auto",
    tile: int | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Forecast:
    """Step a run forward `steps` times from each initial time; see `initial_indices` for `init`.

    `forcing` is a dataset or a forecast; None takes the dataset that the run was trained with, if any.

    Raises:
        MissingInputError: a run, dataset, forcing or initial time that is not there.
        BadDataError: a dataset that is not the run's kind, or forcing that lacks a variable, a place or an hour.
        OutputError: the output exists or is being written.
        WMLError: a forecast turned non-finite; the valid part is kept at `output`.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        opened = open_run(run)
        dataset = opened.forecast_lineage.matched(open_dataset(data), open_record(forcing))
        settings = opened.experiment.data
        indices = initial_indices(dataset, init, history=settings.history, steps=reach(steps, settings.lead))
        rows = Rows(
            roller=Roller(opened, dataset, opened.load_model(), pick_device(device), tile=tile),
            indices=indices,
            steps=steps,
        )
        writer = ForecastWriter(output, request(opened, rows))
        lay_out(writer, opened, rows)
        forecast_rows(rows, writer, progress=progress)
        writer.finish()
    report_stopped(writer)
    return Forecast(path=output, init_times=rows.times, steps=steps)


def request(run: Run, rows: Rows) -> dict[str, Any]:
    """What must be equal for an unfinished forecast to be gone on with."""
    return {
        "run": str(run.path),
        "step": run.status()["step"],
        "data": str(rows.roller.dataset.path),
        "times": [str(time) for time in rows.times],
        "steps": rows.steps,
        **forcing_path(rows.roller.dataset),
    }


def lay_out(writer: ForecastWriter, run: Run, rows: Rows, derived: Sequence[Layer] = (), **attributes: Any) -> None:
    """Lay out a forecast's store, unless an earlier job did.

    Raises:
        DiskError: it will not fit.
    """
    dataset = rows.roller.dataset
    needed = needed_bytes(dataset, (len(rows.times), rows.steps), rows.members, derived)
    copies = 2 if writer.output.suffix == ".nc" else 1
    require_free(writer.output, needed * copies - writer.written)
    attributes = global_attributes(run, dataset) | attributes
    writer.create(dataset, rows.times, rows.steps, attributes, block=rows.roller.data.lead, derived=derived)


def global_attributes(run: Run, dataset: Dataset) -> dict[str, Any]:
    """The forecast's global attributes: what made it, from what."""
    kind = run.experiment.model.kind
    return {
        "title": f"{kind} forecast",
        "model": kind,
        "run": run.path.name,
        "dataset": dataset.path.name,
        **{key: Path(path).name for key, path in forcing_path(dataset).items()},
        "grid_kind": dataset.grid.kind,
        "variables": dataset.names,
        "configuration": dump(run.experiment.settings()),
    }


def report_stopped(writer: ForecastWriter) -> None:
    """Raise WMLError where forecasts turned non-finite."""
    if writer.stopped:
        when, kept = next(iter(writer.stopped.items()))
        raise WMLError(
            f"{writer.output}: {len(writer.stopped)} forecast(s) turned non-finite, the first from {when} after {kept} "
            "step(s); the valid part is kept, train longer or with a lower train.lr"
        )
