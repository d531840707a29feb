"""What a run must know of the data it was trained on, so that inference needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from weatherml.data.external import Analyses, External, Record, beside, chosen, external_of
from weatherml.data.known import forcing_names, forcing_names_for
from weatherml.data.regrid import locate
from weatherml.data.statistics import STATISTICS, Statistics
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import delta_scale, ties
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.fields import Shape
from weatherml.models.base import ModelConfig
from weatherml.run.experiment import Experiment
from weatherml.tasks import Task
from weatherml.variables import Variable

SCALES = ("mean", "std", "delta_std")
"""The statistics that a model computes with; a variable that was never there has no finite extremes."""


@dataclass(frozen=True, kw_only=True)
class ForcingLineage:
    """The external forcing that a run was trained with.

    Attributes:
        dataset: its path.
        variables: in order.
        statistics: of its training split, in the same order.
    """

    dataset: str
    variables: tuple[Variable, ...]
    statistics: Statistics

    @classmethod
    def of(cls, external: External) -> ForcingLineage:
        """That of a dataset."""
        path = str(external.record.path)
        return cls(dataset=path, variables=external.variables, statistics=external.statistics)

    def settings(self) -> dict[str, Any]:
        """As JSON types."""
        return {"dataset": self.dataset} | channel_settings(self.variables, self.statistics)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ForcingLineage:
        """The inverse of `settings`."""
        return cls(dataset=settings["dataset"], **channels_from(settings))

    def external(self, dataset: Dataset, record: Record | None) -> External:
        """The run's variables of a record; of the dataset's own forcing or the run's where that is None.

        Raises:
            MissingInputError: the run's own is not there.
            BadDataError: the record lacks a variable, or does not cover the dataset's grid.
        """
        held = external_of(dataset)
        if record is None and held is not None:
            return chosen(held.record, self.variables, self.statistics, held.points)
        record = record or self._analyses()
        return chosen(record, self.variables, self.statistics, locate(record.grid, dataset.grid, record.path))

    def _analyses(self) -> Analyses:
        path = Path(self.dataset)
        if not path.exists():
            raise MissingInputError(f"{path}: the forcing that the run was trained with is not there; name one")
        return Analyses(open_dataset(path))


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
        forcing: names of the known fields, in order, external ones last.
        periodic_x: the columns go round the globe.
        external: where the external ones come from; None where there are none.
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
    external: ForcingLineage | None = None

    @classmethod
    def of(cls, dataset: Dataset, forcing: tuple[str, ...] | None = None) -> Lineage:
        """The lineage of a run trained on `dataset`, narrowed to its channels; of other known fields where named."""
        external = external_of(dataset)
        return cls(
            dataset=str(dataset.path),
            variables=dataset.variables,
            statistics=dataset.statistics,
            grid=dataset.grid.digest,
            shape=dataset.grid.shape,
            step_seconds=int(dataset.step / np.timedelta64(1, "s")),
            static=tuple(dataset.static),
            forcing=forcing_names(dataset) if forcing is None else forcing,
            periodic_x=dataset.grid.periodic_x,
            external=None if external is None else ForcingLineage.of(external),
        )

    def settings(self) -> dict[str, Any]:
        """As JSON types."""
        rest = {name: getattr(self, name) for name in ("dataset", "grid", "step_seconds", "periodic_x")}
        lists = {name: list(getattr(self, name)) for name in ("shape", "static", "forcing")}
        return {
            **rest,
            **lists,
            **channel_settings(self.variables, self.statistics),
            **({} if self.external is None else {"external": self.external.settings()}),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Lineage:
        """The inverse of `settings`.

        Raises:
            ValueError: a time step that is none, or what `channels_from` does.
        """
        if not settings["step_seconds"] > 0:
            raise ValueError(f"step_seconds is {settings['step_seconds']}")
        return cls(
            dataset=settings["dataset"],
            **channels_from(settings),
            grid=settings["grid"],
            shape=tuple(settings["shape"]),
            step_seconds=settings["step_seconds"],
            static=tuple(settings["static"]),
            forcing=tuple(settings["forcing"]),
            periodic_x=settings["periodic_x"],
            external=ForcingLineage.from_settings(settings["external"]) if "external" in settings else None,
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
            tied=tuple(map(bool, ties(self.variables, self.statistics))),
        )

    def matched(self, dataset: Dataset, record: Record | None = None) -> Dataset:
        """The dataset narrowed and ordered to the run's channels; names decide, never positions.

        Args:
            dataset: the states.
            record: external forcing; None takes that of the dataset, or else the run's own.

        Raises:
            BadDataError: channels, grid, step, static or forcing that differ, and how.
        """
        narrowed = self.forced(dataset.select(self.names), record)
        self.require_same(Lineage.of(narrowed, forcing_names_for(self.forcing, narrowed)))
        return narrowed

    def forced(self, dataset: Dataset, record: Record | None) -> Dataset:
        """The dataset with the run's forcing beside it; as it is where the run takes none.

        Raises:
            BadDataError: a record that the run cannot use.
        """
        if self.external is None:
            if record is not None:
                raise BadDataError(f"{record.path}: the run was trained without external forcing; leave it out")
            return dataset
        return beside(dataset, self.external.external(dataset, record))

    def require_same(self, other: Lineage) -> None:
        """Raise BadDataError where `other` differs in what a model depends on, naming the first difference."""
        for what in ("shape", "grid", "step_seconds", "static", "forcing"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                raise BadDataError(f"{other.dataset}: {what} is {theirs}, the run was trained on {ours}; use its data")
        for mine, its in zip(self.variables, other.variables, strict=True):
            if mine.units != its.units:  # what transforms them is the run's
                raise BadDataError(
                    f"{other.dataset}: {its.name} in {its.units}, the run was trained on {mine.units}; prepare it alike"
                )


def channel_settings(variables: Sequence[Variable], statistics: Statistics) -> dict[str, Any]:
    """Variables and their statistics as JSON types."""
    return {"variables": [variable.settings() for variable in variables], "statistics": statistics.settings()}


def channels_from(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `channel_settings`.

    Raises:
        ValueError: a name stands twice, or the statistics are not one finite number for each variable.
    """
    variables = tuple(Variable(**each) for each in settings["variables"])
    statistics = Statistics.from_settings(settings["statistics"])
    if len({variable.name for variable in variables}) < len(variables):
        raise ValueError("a variable stands twice")
    for name in STATISTICS:
        row = getattr(statistics, name)
        if row.shape != (len(variables),) or (name in SCALES and not np.isfinite(row).all()):
            raise ValueError(f"{name} is not a number for each of {len(variables)} variables")
    return {"variables": variables, "statistics": statistics}


def require_served(model: ModelConfig, task: Task) -> None:
    """Raise ConfigError where a model does not serve a task."""
    if task not in type(model).tasks:
        served = ", ".join(sorted(type(model).tasks))
        raise ConfigError(f"model.kind: {model.kind} serves {served}, the data are for {task}; take another")
