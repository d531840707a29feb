"""The learning-rate range test (Smith 2017, arXiv 1506.01186): train at ever greater rates until the loss breaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.loader import prefetched
from weatherml.errors import ConfigError, WMLError
from weatherml.fields import Batch
from weatherml.files import write_json
from weatherml.run.curves import Panel, draw
from weatherml.run.device import Device, pick_device
from weatherml.run.directory import Run, lineage_of, open_run
from weatherml.run.experiment import Experiment
from weatherml.train.learner import Learner
from weatherml.train.processes import build_fabric
from weatherml.train.share import Share
from weatherml.train.supply import Supply, open_selected, supply

Array = npt.NDArray[np.float64]
STEPS, LOWEST, HIGHEST = 100, 1e-6, 1.0
BREAKS = 4.0
"""A loss so many times the least one is broken."""
SMOOTH = 3.0
"""Steps over which losses are averaged."""
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class RateSweep:
    """What a sweep has shown.

    Attributes:
        rates: (N,) learning rates, each the same multiple of the one before.
        losses: (N,) the training loss before the step at that rate.
        breaks_at: the rate after which the loss broke; None where none did.
    """

    rates: Array
    losses: Array
    breaks_at: float | None

    @property
    def suggested(self) -> float:
        """Where the loss falls most steeply with the logarithm of the rate, at most a tenth of where it breaks.

        Raises:
            WMLError: it falls nowhere.
        """
        slope = np.gradient(smoothed(self.losses), np.log(self.rates)) if len(self.rates) > 1 else np.zeros(1)
        if slope.min() >= 0:
            raise WMLError(f"learning rate: none from {LOWEST:g} to {HIGHEST:g} lowers the loss; look at the data")
        return min(float(self.rates[slope.argmin()]), 0.1 * (self.breaks_at or math.inf))

    def settings(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        curve = {"rates": self.rates.tolist(), "losses": self.losses.tolist()}
        return {"suggested": self.suggested, "breaks_at": self.breaks_at, **curve}

    def table(self) -> list[tuple[float, float]]:
        """About ten rates and their smoothed losses."""
        every = -(-len(self.rates) // SHOWN)
        return list(zip(self.rates[::every].tolist(), smoothed(self.losses)[::every].tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write lr_finder.json and lr_finder.png."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "lr_finder.json", self.settings())
        ends = {"suggested": self.suggested} | ({"breaks": self.breaks_at} if self.breaks_at else {})
        curves = {"loss": self.losses, "smoothed": smoothed(self.losses)}
        lines = {name: list(zip(self.rates.tolist(), y.tolist(), strict=True)) for name, y in curves.items()}
        draw(
            [Panel(title="training loss", lines=lines, x="learning rate", logarithmic="xy", marks=ends)],
            folder / "lr_finder.png",
        )


def smoothed(losses: Array) -> Array:
    """(N,) averages over the neighbours on both sides, so that no rate is blamed for a later or an earlier one."""
    place = np.arange(len(losses))
    weight = np.exp(-np.abs(place[:, None] - place) / SMOOTH)
    return np.asarray(weight @ losses / weight.sum(1))


def find_rate(experiment: Experiment, data: Path, *, device: Device = "auto", steps: int = STEPS) -> RateSweep:
    """Train afresh for some steps, each at a rate greater than the last, and keep nothing of it.

    Raises:
        ConfigError: a model that takes no steps.
    """
    if not type(experiment.model).trainable:
        raise ConfigError(f"model.kind: {experiment.model.kind} takes no optimizer's steps; it needs no learning rate")
    dataset = open_selected(data, experiment)
    run = Run(path=Path("lr_finder"), experiment=experiment, lineage=lineage_of(dataset))  # never written
    fabric = build_fabric(experiment.train, pick_device(device))
    torch.manual_seed(experiment.train.seed)
    learner = Learner(run.build_model(), experiment.train, fabric)
    if experiment.train.start is not None:
        learner.start_from(run, open_run(experiment.train.start))
    given = supply(run, dataset, fabric.device)
    with closing(prefetched(given.loader.load, count())) as batches:
        return sweep(trial(learner, given, experiment, batches), np.geomspace(LOWEST, HIGHEST, steps))


def trial(
    learner: Learner, given: Supply, experiment: Experiment, batches: Iterator[Batch]
) -> Callable[[float], float]:
    """A step of training at a given rate, which tells the loss before it."""
    share = Share.of(experiment.train.batch, experiment.train.accumulate)
    objective, numbers = given.objective(horizon=1, lead=experiment.data.lead), count()

    def step(rate: float) -> float:
        loss = learner.gradients(share, next(numbers), batches, objective)
        learner.finish(loss, rate=rate, step=0)
        return float(loss)

    return step


def sweep(step: Callable[[float], float], rates: Array) -> RateSweep:
    """Take a step at each of the rates, until the loss is not finite or far above its least."""
    losses: list[float] = []
    for number, rate in enumerate(rates.tolist()):
        losses.append(step(rate))
        curve = smoothed(np.array(losses))
        if not math.isfinite(losses[-1]) or curve[-1] > BREAKS * curve.min():
            broke = number - 1
            return RateSweep(rates=rates[:number], losses=np.array(losses[:-1]), breaks_at=float(rates[max(broke, 0)]))
    return RateSweep(rates=rates, losses=np.array(losses), breaks_at=None)
