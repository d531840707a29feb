"""Roll a run out from initial times and stream the forecast to disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.config import dump
from weatherml.data.known import KnownFields
from weatherml.data.reader import WindowReader
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import UnavailableError, WMLError
from weatherml.fields import Fields
from weatherml.files import output_lock, refuse_existing, require_free
from weatherml.forecast.initial import initial_indices
from weatherml.forecast.store import ForecastWriter
from weatherml.models.base import Model
from weatherml.progress import Progress, silent
from weatherml.run.device import Device, memory_format, natively_bf16, pick_device
from weatherml.run.directory import Run, open_run
from weatherml.run.stepping import finite, roll
from weatherml.signals import stop_request

Array = npt.NDArray[Any]
BATCH_POINTS = 1 << 17
"""Grid points stepped together: many initial times of a small grid, one of a large."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a rollout wrote.

    Attributes:
        path: zarr store or NetCDF file.
        init_times: (N,) datetime64.
        steps: leads of each.
    """

    path: Path
    init_times: Array
    steps: int


def rollout(
    run: Path,
    data: Path,
    *,
    init: Sequence[str] = (),
    steps: int = 24,
    output: Path,
    device: Device = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Forecast:
    """Step a run forward `steps` times from each initial time; see `initial_indices` for `init`.

    Raises:
        MissingInputError: a run, dataset or initial time that is not there.
        BadDataError: a dataset that is not the run's kind.
        OutputError: the output exists or is being written.
        WMLError: a forecast turned non-finite; the valid part is kept at `output`.
    """
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        opened = open_run(run)
        dataset = opened.match(open_dataset(data))
        indices = initial_indices(dataset, init, history=opened.experiment.data.history)
        times = dataset.times[indices]
        H, W = dataset.grid.shape
        require_free(output, len(times) * steps * len(dataset.variables) * H * W * 2)
        writer = ForecastWriter(output, request(opened, dataset, times, steps))
        writer.create(dataset, times, steps, attributes(opened, dataset))
        roller = Roller(opened, dataset, pick_device(device))
        try:
            step_cases(roller, writer, indices, steps, progress)
        except torch.OutOfMemoryError:
            raise UnavailableError(f"{run}: one step does not fit in the GPU's memory; take --device cpu") from None
        writer.finish()
    if writer.stopped:
        when, kept = next(iter(writer.stopped.items()))
        raise WMLError(
            f"{output}: {len(writer.stopped)} forecast(s) turned non-finite, the first from {when} after {kept} "
            "step(s); the valid part is kept, train longer or with a lower train.lr"
        )
    return Forecast(path=output, init_times=times, steps=steps)


def request(run: Run, dataset: Dataset, times: Array, steps: int) -> dict[str, Any]:
    """What must be equal for an unfinished forecast to be gone on with."""
    return {
        "run": str(run.path),
        "step": run.status()["step"],
        "data": str(dataset.path),
        "times": [str(time) for time in times],
        "steps": steps,
    }


def attributes(run: Run, dataset: Dataset) -> dict[str, Any]:
    """The forecast's global attributes: what made it, from what."""
    kind = run.experiment.model.kind
    return {
        "title": f"{kind} forecast",
        "model": kind,
        "run": run.path.name,
        "dataset": dataset.path.name,
        "grid_kind": dataset.grid.kind,
        "variables": dataset.names,
        "configuration": dump(run.experiment.settings()),
    }


class Roller:
    """A trained model, ready to step forward from times of a dataset."""

    def __init__(self, run: Run, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.data = run.experiment.data
        model: Any = run.load_model()
        self.model: Model = model.to(device, memory_format=memory_format(device))
        self.normaliser = run.lineage.normaliser(dataset.packings).to(device)
        self.known = KnownFields(dataset, device)
        self.reader = WindowReader(dataset, cache_bytes=0)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=natively_bf16(device))

    def leads(self, indices: Array, steps: int) -> Iterator[Fields]:
        """(B, C, H, W) physical fields of each lead, from the initial times at these indices."""
        T = self.data.history
        packed = np.stack([self.reader.window(int(index) - T + 1, T) for index in indices])
        device = self.normaliser.mean.device
        history = self.normaliser.normalise(self.normaliser.unpack(torch.from_numpy(packed).to(device)))
        with torch.inference_mode(), self.autocast:
            yield from roll(
                self.model,
                torch.nan_to_num(history),
                self.dataset.times[indices],
                step=self.dataset.step,
                steps=steps,
                lead=self.data.lead,
                normaliser=self.normaliser,
                known=self.known,
            )


def step_cases(roller: Roller, writer: ForecastWriter, indices: Array, steps: int, progress: Progress) -> None:
    """Forecast every initial time that the writer does not have yet, some at a time."""
    H, W = roller.dataset.grid.shape
    batch = max(1, BATCH_POINTS // (H * W))
    left = [case for case in range(len(indices)) if case not in set(writer.done)]
    with stop_request() as stop:
        for start in range(0, len(left), batch):
            cases, before = left[start : start + batch], len(writer.done)
            for lead in write_leads(roller, writer, indices, cases, steps):
                progress(before * steps + lead * len(cases), len(indices) * steps)
                stop.raise_if_set(f"{writer.output}: stopped after {before} of {len(indices)} initial times")


def write_leads(roller: Roller, writer: ForecastWriter, indices: Array, cases: list[int], steps: int) -> Iterator[int]:
    """Write the leads of some cases shard by shard, yielding how many are done.

    From the first non-finite lead of a case on, the case is written as missing.
    """
    alive = np.ones(len(cases), dtype=bool)
    stopped: dict[str, int] = {}
    block: list[Array] = []
    for lead, fields in enumerate(roller.leads(indices[cases], steps)):
        sound = alive & finite(fields).cpu().numpy()
        stopped |= {f"{roller.dataset.times[indices[cases[row]]]}Z": lead for row in np.flatnonzero(alive & ~sound)}
        alive = sound
        block.append(np.where(alive[:, None, None, None], fields.float().cpu().numpy(), np.float32(np.nan)))
        if len(block) == writer.shard or lead + 1 == steps:
            writer.write(cases, lead + 1 - len(block), np.stack(block, axis=1))
            block = []
        yield lead + 1
    writer.complete(cases, stopped)
