"""What a run must know of the data it was trained on, so that inference needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from weatherml.data.known import forcing_names
from weatherml.data.packing import Packing
from weatherml.data.statistics import Statistics
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser, delta_scale
from weatherml.errors import BadDataError, ConfigError
from weatherml.fields import Shape, Task
from weatherml.models.base import ModelConfig
from weatherml.run.experiment import Experiment
from weatherml.variables import Variable

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The data that a run was trained on, as far as inference depends on it.

    Attributes:
        dataset: its path.
        variables: the channels, in order.
        statistics: of the training split, in the same order.
        grid: digest of the grid.
        shape: (H, W).
        step_seconds: the model's time step.
        static: names of the static fields, in order.
        forcing: names of the known fields, in order.
        periodic_x: the columns go round the globe.
    """

    task: ClassVar[Task] = "forecast"

    dataset: str
    variables: tuple[Variable, ...]
    statistics: Statistics
    grid: str
    shape: tuple[int, int]
    step_seconds: int
    static: tuple[str, ...]
    forcing: tuple[str, ...]
    periodic_x: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Lineage:
        """The lineage of a run trained on `dataset`, narrowed to its channels."""
        return cls(
            dataset=str(dataset.path),
            variables=dataset.variables,
            statistics=dataset.statistics,
            grid=dataset.grid.digest,
            shape=dataset.grid.shape,
            step_seconds=int(dataset.step / np.timedelta64(1, "s")),
            static=tuple(dataset.static),
            forcing=forcing_names(dataset.grid),
            periodic_x=dataset.grid.periodic_x,
        )

    def settings(self) -> dict[str, Any]:
        """As JSON types."""
        rest = {name: getattr(self, name) for name in ("dataset", "grid", "step_seconds", "periodic_x")}
        lists = {name: list(getattr(self, name)) for name in ("shape", "static", "forcing")}
        return {
            "schema": SCHEMA,
            **rest,
            **lists,
            "variables": [variable.settings() for variable in self.variables],
            "statistics": self.statistics.settings(),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Lineage:
        """The inverse of `settings`."""
        return cls(
            dataset=settings["dataset"],
            variables=tuple(Variable(**each) for each in settings["variables"]),
            statistics=Statistics.from_settings(settings["statistics"]),
            grid=settings["grid"],
            shape=tuple(settings["shape"]),
            step_seconds=settings["step_seconds"],
            static=tuple(settings["static"]),
            forcing=tuple(settings["forcing"]),
            periodic_x=settings["periodic_x"],
        )

    @property
    def names(self) -> list[str]:
        """The channels' names."""
        return [variable.name for variable in self.variables]

    def model_shape(self, experiment: Experiment) -> Shape:
        """What the model must fit.

        Raises:
            ConfigError: the model serves other tasks.
        """
        require_served(experiment.model, self.task)
        H, W = self.shape
        return Shape(
            channels=len(self.variables),
            history=experiment.data.history,
            lead=experiment.data.lead,
            forcing=len(self.forcing),
            static=len(self.static),
            height=H,
            width=W,
            delta_std=delta_scale(self.statistics),
            periodic_x=self.periodic_x,
        )

    def normaliser(self, packings: Sequence[Packing]) -> Normaliser:
        """From fields packed so to this run's normalised ones, and back to physical units."""
        return Normaliser(self.variables, packings, self.statistics)

    def matched(self, dataset: Dataset) -> Dataset:
        """The dataset narrowed and ordered to the run's channels; names decide, never positions.

        Raises:
            BadDataError: channels, grid, step, static or packing that differ, and how.
        """
        narrowed = dataset.select(self.names)
        self.require_same(Lineage.of(narrowed))
        return narrowed

    def require_same(self, other: Lineage) -> None:
        """Raise BadDataError where `other` differs in what a model depends on, naming the first difference."""
        for what in ("shape", "grid", "step_seconds", "static", "forcing"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                raise BadDataError(f"{other.dataset}: {what} is {theirs}, the run was trained on {ours}; use its data")
        for mine, its in zip(self.variables, other.variables, strict=True):
            if (mine.units, mine.transform) != (its.units, its.transform):
                raise BadDataError(
                    f"{other.dataset}: {its.name} in {its.units} ({its.transform}), the run was trained on "
                    f"{mine.units} ({mine.transform}); prepare it alike"
                )


def require_served(model: ModelConfig, task: Task) -> None:
    """Raise ConfigError where a model does not serve a task."""
    if task not in type(model).tasks:
        served = ", ".join(sorted(type(model).tasks))
        raise ConfigError(f"model.kind: {model.kind} serves {served}, the data are for {task}; take another")
