"""A run on disk: what it was trained on and with, and its checkpoints."""

from __future__ import annotations

import logging
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from weatherml.config import dump, parse
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.errors import BadDataError, ConfigError, MissingInputError, UsageError
from weatherml.files import read_json, write_json, write_text
from weatherml.models.base import GenerativeModel, Model
from weatherml.models.diffusion import DiffusionModel
from weatherml.run import checkpoint
from weatherml.run.calibration import Calibration
from weatherml.run.experiment import Experiment
from weatherml.run.lineage import SCHEMA, Lineage
from weatherml.run.sequences import SequenceLineage
from weatherml.samplers.base import Sampler

logger = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
"""What training logs, a line of JSON each time, in a run directory."""
LIBRARIES = ("weatherml", "torch", "numpy", "zarr", "xarray", "lightning-fabric")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run directory, opened.

    Attributes:
        path: `runs/NAME`.
        experiment: its frozen configuration.
        lineage: the data it was trained on.
    """

    path: Path
    experiment: Experiment
    lineage: Lineage | SequenceLineage

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def forecast_lineage(self) -> Lineage:
        """The lineage of a run that forecasts.

        Raises:
            UsageError: the run is of another task.
        """
        if not isinstance(self.lineage, Lineage):
            raise UsageError(f"{self.path}: its task is {self.lineage.task}; this is for runs that forecast")
        return self.lineage

    def matched(self, dataset: Dataset | SequenceDataset) -> Dataset | SequenceDataset:
        """The dataset, narrowed and ordered to the run's channels, if the run's model can be used on it.

        Raises:
            BadDataError: it differs in what a model depends on; names the first difference.
        """
        if isinstance(dataset, SequenceDataset) and isinstance(self.lineage, SequenceLineage):
            return self.lineage.matched(dataset)
        if isinstance(dataset, Dataset) and isinstance(self.lineage, Lineage):
            return self.lineage.matched(dataset)
        held = dataset.task if isinstance(dataset, SequenceDataset) else "forecast"
        raise BadDataError(f"{dataset.path}: for {held}, the run at {self.path} for {self.lineage.task}; use its data")

    def status(self) -> dict[str, Any]:
        """`state` (running, stopped, finished, failed), `step`, `steps`, times."""
        found: dict[str, Any] = read_json(self.path / "status.json")
        return found

    def set_status(self, **changes: Any) -> None:
        """Update status.json; `updated` is set to now."""
        path = self.path / "status.json"
        before = read_json(path) if path.exists() else {}
        write_json(path, before | changes | {"updated": datetime.now(UTC).isoformat(timespec="seconds")})

    def latest(self) -> checkpoint.Checkpoint | None:
        """The newest finished checkpoint; None before the first."""
        found = checkpoint.steps(self.checkpoints)
        return checkpoint.load(self.checkpoints / f"step-{found[-1]}") if found else None

    def build_model(self, sampler: Sampler | None = None) -> Model:
        """The network with fresh weights.

        Args:
            sampler: of a diffusion model; None takes the run's own.
        """
        model = self.experiment.model.build(self.lineage.model_shape(self.experiment))
        if isinstance(model, DiffusionModel):
            model.sampler = sampler or self.experiment.sampler
        return model

    def load_model(self, sampler: Sampler | None = None) -> Model:
        """The network with the weights to forecast with: the best, or else the latest average.

        Args:
            sampler: of a diffusion model; None takes the run's own. The calibration holds for that one alone.

        Raises:
            MissingInputError: nothing was saved yet.
            BadDataError: weights that do not fit the configuration.
        """
        model = self.build_model(sampler)
        if type(self.experiment.model).trainable or type(self.experiment.model).fitted:
            best = self.checkpoints / "best"
            saved = checkpoint.load(best) if best.exists() else self.latest()
            if saved is None:
                raise MissingInputError(f"{self.path}: no checkpoint yet; train it first")
            load_weights(model, saved.average, self.path)
        if isinstance(model, GenerativeModel):
            self._calibrate(model, sampler or self.experiment.sampler)
        return model.eval()

    def _calibrate(self, model: GenerativeModel, sampler: Sampler | None) -> None:
        fit = Calibration.load(self.path)
        if fit is None:
            return
        if fit.sampler == (sampler.settings() if sampler else None):
            model.temperature.copy_(torch.tensor(fit.temperature).view(-1, 1, 1))
        else:
            logger.warning("%s: calibrated for another sampler; the spread is as it was learnt", self.path)


def load_weights(model: Model, weights: checkpoint.Weights, path: Path) -> None:
    """Load weights by name, or raise BadDataError with the first difference."""
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise BadDataError(
                f"{path}: weight {name} is {theirs.get(name, 'absent')}, the model has {ours.get(name, 'none')}; "
                "the checkpoint is of another configuration"
            )
    model.load_state_dict(weights)


def create_run(path: Path, experiment: Experiment, dataset: Dataset | SequenceDataset) -> Run:
    """Freeze an experiment and its data's lineage in a new run directory."""
    run = Run(path=path, experiment=experiment, lineage=lineage_of(dataset))
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    write_text(path / "config.yaml", dump(experiment.settings()))
    write_json(path / "environment.json", environment())
    write_json(path / "data.json", run.lineage.settings())
    run.set_status(state="created", step=0)  # last: a folder with it is a run
    return run


def lineage_of(dataset: Dataset | SequenceDataset) -> Lineage | SequenceLineage:
    """What a run on these data must remember of them."""
    return SequenceLineage.of(dataset) if isinstance(dataset, SequenceDataset) else Lineage.of(dataset)


def open_or_create(path: Path, experiment: Experiment, dataset: Dataset | SequenceDataset, *, resume: bool) -> Run:
    """The run at `path` to go on with, or a new one.

    Raises:
        ConfigError: the run there has another configuration; the message names the first difference.
    """
    if not (path / "status.json").exists():
        return create_run(path, experiment, dataset)
    if not resume:
        raise ConfigError(f"{path}: exists; give another --run, or go on with --resume auto")
    run = open_run(path)
    difference = first_difference(run.experiment.settings(), experiment.settings())
    if difference:
        raise ConfigError(f"{path}: {difference}; give another --run, or the run's own configuration")
    return run


def first_difference(ours: dict[str, Any], theirs: dict[str, Any], at: str = "") -> str:
    """In words, the first key in which two configurations differ; empty where none does."""
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        mine, its = ours.get(key), theirs.get(key)
        if isinstance(mine, dict) and isinstance(its, dict):
            inner = first_difference(mine, its, f"{at}{key}.")
            if inner:
                return inner
        elif mine != its:
            return f"the run has {at}{key}={mine}, not {its}"
    return ""


def open_run(path: str | Path) -> Run:
    """Open a run directory.

    Raises:
        MissingInputError: nothing there.
        BadDataError: not a run, or files that do not read.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such run; make one with `wml train`")
    if not (path / "status.json").is_file():
        raise BadDataError(f"{path}: not a run (no status.json); give the folder that `wml train` made")
    data = read_json(path / "data.json")
    if data.get("schema") != SCHEMA:
        raise BadDataError(f"{path}: a run of schema {data.get('schema')}, this version reads {SCHEMA}; train again")
    kind = Lineage if data.get("task", "forecast") == "forecast" else SequenceLineage
    try:
        settings = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        return Run(path=path, experiment=parse(Experiment, settings), lineage=kind.from_settings(data))
    except (OSError, yaml.YAMLError, ConfigError, KeyError, TypeError) as error:
        raise BadDataError(f"{path}: its files do not read ({error}); restore them or train again") from None


def environment() -> dict[str, Any]:
    """Python, platform and library versions."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
