"""All that `wml plan` says: the settings, their memory, and the time they take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from weatherml.fields import Shape
from weatherml.run.device import pick_device
from weatherml.run.directory import lineage_of
from weatherml.run.experiment import Experiment
from weatherml.train.planning.rate import Rate, Time, mean_flops, measured_rate, stated_rate, training_time
from weatherml.train.planning.search import Budget, Fit, Search
from weatherml.train.planning.sizes import FORTNIGHT, default_shape, training_cases
from weatherml.train.supply import open_selected


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be planned.

    Attributes:
        experiment: what is trained.
        data: the dataset; None plans for HRRR.
        grid: rows and columns, where no dataset is named.
        channels: variables, where no dataset is named.
        cases: of an epoch; None takes the dataset's, or a fortnight's hours.
        budget: memory that is to be had; None asks nothing to fit.
        low_memory: take the thriftiest settings.
        tflops: 1e12 operations that the card sustains in a second; None measures the device at hand.
        timed: whether to tell the time.
    """

    experiment: Experiment
    data: Path | None = None
    grid: tuple[int, int] | None = None
    channels: int | None = None
    cases: int | None = None
    budget: Budget | None = None
    low_memory: bool = False
    tflops: float | None = None
    timed: bool = True


@dataclass(frozen=True, kw_only=True)
class Report:
    """What it comes to.

    Attributes:
        title: the model and the grid in words.
        fit: settings and what they take.
        time: what training takes; None where it was not asked, or nothing is trained.
    """

    title: str
    fit: Fit
    time: Time | None

    def table(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        plan = self.fit.plan
        return {
            "parameters": plan.parameters,
            "flops_per_step": plan.flops_per_step,
            "train_peak_bytes": plan.train_peak_bytes,
            "inference_peak_bytes": plan.inference_peak_bytes,
            "memory": asdict(plan.memory),
            "tile": self.fit.tile,
            "time": asdict(self.time) if self.time else None,
            "settings": self.fit.settings.settings(),
        }


def report(request: Request) -> Report:
    """Plan.

    Raises:
        UnavailableError: no settings fit the budget.
    """
    experiment = request.experiment
    shape, held = _shape(request)
    search = Search(experiment, shape)
    fit = search.fit(request.budget, low_memory=request.low_memory)
    time = None
    if request.timed and fit.plan.flops_per_step:
        flops = mean_flops(experiment, search.planner, fit.settings, fit.plan.flops_per_step)
        time = training_time(experiment, flops, _rate(request, search.planner.cases, fit), request.cases or held)
    title = f"{experiment.model.kind} on {shape.height} x {shape.width} points, {shape.channels} channels"
    return Report(title=title, fit=fit, time=time)


def _shape(request: Request) -> tuple[Shape, int]:
    """Of the data, and the cases of an epoch."""
    if request.data is None:
        return default_shape(request.experiment, grid=request.grid, channels=request.channels), FORTNIGHT
    dataset = open_selected(request.data, request.experiment)
    return lineage_of(dataset).model_shape(request.experiment), training_cases(dataset, request.experiment)


def _rate(request: Request, shape: Shape, fit: Fit) -> Rate:
    if request.tflops is not None:
        return stated_rate(request.tflops)
    device = pick_device("cuda" if torch.cuda.is_available() else "cpu")
    return measured_rate(request.experiment, shape, fit.settings, device)
