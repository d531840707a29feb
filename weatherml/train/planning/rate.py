"""How long training takes: the real step on a smaller grid, timed on the device at hand, scaled by its work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from weatherml.fields import Shape
from weatherml.run.device import memory_format, pick_precision
from weatherml.run.experiment import Experiment
from weatherml.train.objective import horizon_at, mean_work, total_steps
from weatherml.train.planning.plan import Planner
from weatherml.train.planning.step import Precision, StepSettings, TrainingStep, unit_weights

SIDES = (64, 128, 256, 512, 1024)
SECONDS = 4.0
"""Of measuring; a larger grid is tried where a step on the last took less than a quarter of it."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Work that a device does while it trains.

    Attributes:
        flops: floating-point operations a second.
        device: in words.
    """

    flops: float
    device: str


@dataclass(frozen=True, kw_only=True)
class Time:
    """How long training takes.

    Attributes:
        device: whose time it is.
        tflops: the rate it rests on, in 1e12 operations a second.
        seconds_per_step: of an optimizer step, the mean over the run.
        seconds_per_epoch: of a pass over the training cases.
        seconds: of the whole run, without validation.
        steps: of the whole run.
        cases: in a pass.
    """

    device: str
    tflops: float
    seconds_per_step: float
    seconds_per_epoch: float
    seconds: float
    steps: int
    cases: int


def stated_rate(tflops: float) -> Rate:
    """The rate of a card that is not at hand."""
    return Rate(flops=tflops * 1e12, device=f"a device that sustains {tflops:g} TFLOP/s")


def measured_rate(experiment: Experiment, shape: Shape, settings: StepSettings, device: torch.device) -> Rate:
    """What `device` sustains in training this model.

    Args:
        experiment: whose model and loss are trained.
        shape: of the training data.
        settings: of the step; a microbatch of one case is timed, in the precision of the device.
        device: at hand.
    """
    precision: Precision = "float32" if pick_precision("auto", device) == "32-true" else "bf16"
    settings = settings.model_copy(update={"batch": 1, "accumulate": 1, "horizon": 1, "precision": precision})
    started, best = time.monotonic(), 0.0
    for cut in _cuts(shape):
        try:
            seconds, flops = _timed(experiment, cut, settings, device)
        except torch.OutOfMemoryError:
            break
        best = max(best, flops / seconds)
        if seconds > SECONDS / 4 or time.monotonic() - started > SECONDS:
            break
    return Rate(flops=best, device=f"{_name(device)} in {precision}")


def _cuts(shape: Shape) -> Iterator[Shape]:
    """Smaller grids, up to the whole."""
    for side in SIDES:
        yield replace(shape, height=min(side, shape.height), width=min(side, shape.width))
        if side >= max(shape.height, shape.width):
            return


def _timed(experiment: Experiment, shape: Shape, settings: StepSettings, device: torch.device) -> tuple[float, int]:
    """Seconds and work of a step: the faster of two, after one that is not timed."""
    network: Any = experiment.model.build(shape)
    network = network.to(device, memory_format=memory_format(device))
    loss = experiment.loss.build(unit_weights(shape)).to(device)
    step = TrainingStep(network, loss, settings, shape, device=device.type)
    flops = step.counted()
    return min(_seconds(step, device) for _ in range(2)), flops


def _seconds(step: TrainingStep, device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    step.whole()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"this machine's CPU ({threads} of {os.cpu_count()} cores)"


def mean_flops(experiment: Experiment, planner: Planner, settings: StepSettings, flops: int) -> float:
    """Work of an optimizer step, the mean over a run whose forecasts grow.

    Args:
        experiment: what is trained.
        planner: of its steps.
        settings: of the step.
        flops: of a step at the longest forecast.
    """
    if settings.horizon == 1:
        return flops
    first = settings.model_copy(update={"horizon": horizon_at(0, experiment.train.steps, experiment.train)})
    return planner.work(first) * mean_work(experiment.train)


def training_time(experiment: Experiment, flops: float, rate: Rate, cases: int) -> Time:
    """The time that training on `cases` cases takes, at so much work a step."""
    config = experiment.train
    steps, effective, step = total_steps(experiment, cases), config.batch * config.accumulate, flops / rate.flops
    steps = steps if config.minutes is None else max(1, round(60 * config.minutes / step))
    return Time(
        device=rate.device,
        tflops=rate.flops / 1e12,
        seconds_per_step=step,
        seconds_per_epoch=step * cases / effective,
        seconds=step * steps,
        steps=steps,
        cases=cases,
    )
