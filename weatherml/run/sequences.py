"""What a run must know of the sequences it was trained on, so that inference needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weatherml.data.sequences.loader import normaliser
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.statistics import Statistics
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError
from weatherml.fields import Shape
from weatherml.run.experiment import Experiment
from weatherml.run.lineage import require_served
from weatherml.tasks import Task
from weatherml.variables import Variable

SAME = ("task", "length", "lead", "shape", "grid")
"""What must be equal for a run's model to be used on other sequences."""


@dataclass(frozen=True, kw_only=True)
class SequenceLineage:
    """The sequences that a run was trained on, as far as inference depends on them.

    Attributes:
        dataset: their path.
        task: what they serve.
        length: S, the steps of a sample's inputs.
        lead: steps from the last input to the target.
        inputs: the variables that enter, in order.
        targets: the variables to learn, in order.
        statistics: of the training samples, inputs first.
        grid: digest of the grid.
        shape: (H, W).
        periodic_x: the columns go round the globe.
    """

    dataset: str
    task: Task
    length: int
    lead: int
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    statistics: Statistics
    grid: str
    shape: tuple[int, int]
    periodic_x: bool

    @classmethod
    def of(cls, dataset: SequenceDataset) -> SequenceLineage:
        """The lineage of a run trained on `dataset`."""
        kept = {name: getattr(dataset, name) for name in ("task", "length", "lead", "inputs", "targets", "statistics")}
        grid = dataset.grid
        return cls(dataset=str(dataset.path), grid=grid.digest, shape=grid.shape, periodic_x=grid.periodic_x, **kept)

    def settings(self) -> dict[str, Any]:
        """As JSON types."""
        rest = {name: getattr(self, name) for name in ("dataset", "task", "length", "lead", "grid", "periodic_x")}
        return {
            **rest,
            "shape": list(self.shape),
            "inputs": [variable.settings() for variable in self.inputs],
            "targets": [variable.settings() for variable in self.targets],
            "statistics": self.statistics.settings(),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> SequenceLineage:
        """The inverse of `settings`."""
        rest = {name: settings[name] for name in ("dataset", "task", "length", "lead", "grid", "periodic_x")}
        return cls(
            **rest,
            shape=tuple(settings["shape"]),
            inputs=tuple(Variable(**each) for each in settings["inputs"]),
            targets=tuple(Variable(**each) for each in settings["targets"]),
            statistics=Statistics.from_settings(settings["statistics"]),
        )

    @property
    def names(self) -> list[str]:
        """The targets' names."""
        return [variable.name for variable in self.targets]

    def model_shape(self, experiment: Experiment) -> Shape:
        """What the model must fit.

        Raises:
            ConfigError: the model serves other tasks.
        """
        require_served(experiment.model, self.task)
        height, width = self.shape
        return Shape(
            channels=len(self.inputs),
            targets=len(self.targets),
            history=self.length,
            height=height,
            width=width,
            delta_std=(1.0,) * len(self.targets),
            periodic_x=self.periodic_x,
            names=tuple(variable.name for variable in self.inputs),
        )

    def input_normaliser(self) -> Normaliser:
        """Between the inputs' physical and normalised values."""
        return normaliser(self.inputs, self.statistics.select(list(range(len(self.inputs)))))

    def target_normaliser(self) -> Normaliser:
        """Between the targets' physical and normalised values; 0 and 1 stay."""
        first = len(self.inputs)
        return normaliser(self.targets, self.statistics.select(list(range(first, first + len(self.targets)))))

    def matched(self, dataset: SequenceDataset) -> SequenceDataset:
        """The dataset, if the run's model can be used on it.

        Raises:
            BadDataError: it differs in what a model depends on; names the first difference.
        """
        other = SequenceLineage.of(dataset)
        for what in SAME:
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                raise BadDataError(f"{dataset.path}: {what} is {theirs}, the run was trained on {ours}; use its data")
        for kind in ("inputs", "targets"):
            ours = [(variable.name, variable.units) for variable in getattr(self, kind)]
            theirs = [(variable.name, variable.units) for variable in getattr(other, kind)]
            if ours != theirs:
                raise BadDataError(f"{dataset.path}: {kind} are {theirs}, the run's {ours}; prepare them alike")
        return dataset
