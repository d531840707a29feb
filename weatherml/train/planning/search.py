"""The cheapest settings of a training step that fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from weatherml.errors import UnavailableError
from weatherml.fields import Shape
from weatherml.files import readable_size
from weatherml.nn.recompute import Checkpointing
from weatherml.run.device import natively_bf16, pick_precision
from weatherml.run.experiment import Experiment, TrainConfig
from weatherml.train.planning.memory import Memory
from weatherml.train.planning.plan import Plan, Planner
from weatherml.train.planning.step import Precision, StepSettings

HEADROOM = 0.9
"""The share of a card that tensors may take: the rest is the driver's, the libraries' and fragmentation."""
TILES = (1024, 512, 256, 128, 64)
FITTED = ("batch", "accumulate", "checkpointing", "precision")
"""What is fitted of `train`; none of it changes what a step learns, but for rounding."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Memory that is to be had.

    Attributes:
        size: bytes.
        name: whose it is.
    """

    size: int
    name: str = "--vram"

    @property
    def usable(self) -> float:
        """Bytes that tensors may take."""
        return HEADROOM * self.size


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Settings, and what they take.

    Attributes:
        settings: of a training step.
        precision: the experiment's own.
        plan: the cost of the step, and of a forecast in tiles of `tile`.
        tile: points to a side of the tiles in which a forecast fits; None where it fits whole, or is not asked to fit.
    """

    settings: StepSettings
    precision: Precision
    plan: Plan
    tile: int | None = None

    def applied(self, experiment: Experiment) -> Experiment:
        """The experiment with these settings; its precision stays as it is written where it comes to the same."""
        chosen = {key: getattr(self.settings, key) for key in FITTED}
        same = self.settings.precision == self.precision
        return with_train(experiment, chosen | {"precision": experiment.train.precision if same else "bf16-mixed"})


def with_train(experiment: Experiment, changes: dict[str, object]) -> Experiment:
    """The experiment with some keys of `train` changed."""
    return experiment.model_copy(update={"train": experiment.train.model_copy(update=changes)})


def without_pooling(experiment: Experiment) -> Experiment:
    """The experiment with a norm of each point where its own pools over the grid, which allows no tiles."""
    model = experiment.model
    if getattr(model, "norm", None) != "group":
        return experiment
    return experiment.model_copy(update={"model": model.model_copy(update={"norm": "point"})})


def refitted(experiment: Experiment, run: Experiment) -> Experiment:
    """The experiment as it was fitted when the run began, if its effective batch is still the run's."""
    ours, theirs = experiment.train, run.train
    if ours.batch * ours.accumulate != theirs.batch * theirs.accumulate:
        return experiment
    return with_train(experiment, {key: getattr(theirs, key) for key in FITTED})


class Search:
    """Settings that an experiment can be trained with, and what they take; nothing is planned twice.

    Args:
        experiment: what is trained; all settings keep its effective batch.
        shape: of the whole domain.
        device: whose precision `auto` takes; None is a card that computes in bf16.
    """

    def __init__(self, experiment: Experiment, shape: Shape, *, device: torch.device | None = None) -> None:
        config = experiment.train
        self.config, self.what = config, f"{experiment.model.kind} on {shape.height} x {shape.width} points"
        self.precisions = precisions(config, device)
        self.planner = Planner(
            experiment.model, shape, loss=experiment.loss, sampler=experiment.sampler, crop=experiment.data.crop
        )
        self._planned: dict[StepSettings, tuple[int, Memory]] = {}

    def fit(self, budget: Budget | None = None, *, low_memory: bool = False) -> Fit:
        """The experiment's own settings, or the cheapest that fit a budget.

        Cheapest is the level of checkpointing that computes least again, and of that the largest microbatch.

        Raises:
            UnavailableError: none fits.
        """
        if low_memory:
            settings = self._settings(1, self.planner.levels[-1], self.precisions[0])
            if budget is not None and not self._fits(settings, budget):
                raise self._refusal(budget)
        elif budget is not None:
            settings = self._cheapest(budget)
        else:
            settings = self._settings(self.config.batch, self.config.checkpointing, self.precisions[0])
        return self._fit(settings, budget)

    def _fit(self, settings: StepSettings, budget: Budget | None) -> Fit:
        tile, inference = self._forecast(settings.precision, budget)
        flops, memory = self._take(settings)
        plan = Plan(
            parameters=self.planner.parameters, flops_per_step=flops, memory=memory, inference_peak_bytes=inference
        )
        return Fit(settings=settings, precision=self.precisions[0], plan=plan, tile=tile)

    def _settings(self, batch: int, level: Checkpointing, precision: Precision) -> StepSettings:
        config = self.config
        kept = {key: getattr(config, key) for key in ("clip", "horizon", "pushforward", "optimizer")}
        accumulate = config.batch * config.accumulate // batch
        return StepSettings(batch=batch, accumulate=accumulate, checkpointing=level, precision=precision, **kept)

    def _take(self, settings: StepSettings) -> tuple[int, Memory]:
        if settings not in self._planned:
            self._planned[settings] = self.planner.training(settings)
        return self._planned[settings]

    def _fits(self, settings: StepSettings, budget: Budget) -> bool:
        return self._take(settings)[1].total <= budget.usable

    def _cheapest(self, budget: Budget) -> StepSettings:
        for precision in self.precisions:
            for level in self.planner.levels:
                found = self._largest(level, precision, budget)
                if found is not None:
                    return found
        raise self._refusal(budget)

    def _largest(self, level: Checkpointing, precision: Precision, budget: Budget) -> StepSettings | None:
        """The largest microbatch that fits, halving what is in question: memory grows with the microbatch."""
        effective = self.config.batch * self.config.accumulate
        choices = [self._settings(size, level, precision) for size in divisors(effective)]
        fitting, beyond = -1, len(choices)
        trial = 0  # most often it is one case that decides
        while fitting < trial < beyond:
            fitting, beyond = (trial, beyond) if self._fits(choices[trial], budget) else (fitting, trial)
            trial = (fitting + beyond) // 2
        return choices[fitting] if fitting >= 0 else None

    def _forecast(self, precision: Precision, budget: Budget | None) -> tuple[int | None, int]:
        """The largest tile in which a forecast fits, None for the whole domain, and what it takes."""
        whole = least = self.planner.inference(precision)
        if budget is None or whole <= budget.usable:
            return None, whole
        for tile in self._tiles():
            least = self.planner.inference(precision, tile=tile)
            if least <= budget.usable:
                return tile, least
        raise UnavailableError(
            f"{budget.name} {readable_size(budget.size)}: a forecast of {self.what} needs {readable_size(least)} and "
            f"{HEADROOM:.0%} can be used; lower model.base_features, or set model.norm=point for smaller tiles"
        )

    def _tiles(self) -> Iterator[int]:
        shape = self.planner.shape
        if self.planner.tiles:
            yield from (size for size in TILES if size < max(shape.height, shape.width))

    def _refusal(self, budget: Budget) -> UnavailableError:
        settings, (_, memory) = min(self._planned.items(), key=lambda item: item[1][1].total)
        least = readable_size(memory.total / HEADROOM)
        return UnavailableError(
            f"{budget.name} {readable_size(budget.size)}: {self.what} needs {least} at the least "
            f"(microbatch {settings.batch}, checkpointing={settings.checkpointing}, {settings.precision}; "
            f"{HEADROOM:.0%} of the memory can be used); lower model.base_features or set data.crop"
        )


def own_precision(config: TrainConfig, device: torch.device | None) -> Precision:
    """What the experiment computes in."""
    name = config.precision if device is None else pick_precision(config.precision, device)
    return "float32" if name == "32-true" else "bf16"


def precisions(config: TrainConfig, device: torch.device | None) -> list[Precision]:
    """The experiment's own, then what is thriftier."""
    own = own_precision(config, device)
    thriftier = own == "float32" and (device is None or natively_bf16(device))
    return [own, "bf16"] if thriftier else [own]


def divisors(number: int) -> list[int]:
    """From 1 to the number itself."""
    return [each for each in range(1, number + 1) if number % each == 0]
