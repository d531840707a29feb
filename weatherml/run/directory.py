"""A run on disk, a directory or one file: what it was trained on and with, and its checkpoints."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from weatherml.config import dump, parse, read_yaml
from weatherml.data.packing import Packing
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.data.transforms import Normaliser
from weatherml.errors import BadDataError, ConfigError, MissingInputError, UsageError, reason
from weatherml.files import read_json_lines, write_json, write_text
from weatherml.models.base import GenerativeModel, Model
from weatherml.models.diffusion import DiffusionModel
from weatherml.run import checkpoint
from weatherml.run.bundle import SUFFIX, Bundle, read_bundle
from weatherml.run.calibration import FILE as CALIBRATION
from weatherml.run.calibration import Calibration
from weatherml.run.experiment import Experiment
from weatherml.run.lineage import Lineage
from weatherml.run.sequences import SequenceLineage
from weatherml.samplers.base import Sampler
from weatherml.schema import REFIT, Description
from weatherml.seal import VOUCHED, content, file_hashes, read_description, require_unchanged, write_description

logger = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
"""What training logs, a line of JSON each time, in a run directory."""
DATA, STATUS = "data.json", "status.json"
FROZEN = ("config.yaml",)
"""What never changes once a run has begun; `DATA` vouches for it."""
FITTED = (CALIBRATION,)
"""What is fitted at the end of training, if anything; `STATUS` vouches for it from then on."""
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

    def normaliser(self, packings: Sequence[Packing]) -> Normaliser:
        """From fields packed so to this run's normalised ones, and back to physical units.

        Raises:
            UsageError: the run is of another task.
        """
        lineage = self.forecast_lineage
        return Normaliser(lineage.variables, packings, lineage.statistics, gap=self.experiment.data.gap)

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
        """`state` (running, stopped, finished, failed), `step`, `steps`, times.

        Raises:
            BadDataError: lost, or changed since it was written.
        """
        return content(self._status())

    def set_status(self, **changes: Any) -> None:
        """Update status.json; `updated` is set to now. At the end of training it vouches for what was fitted there."""
        before = content(self._status()) if (self.path / STATUS).exists() else {}
        status = before | changes | {"updated": datetime.now(UTC).isoformat(timespec="seconds")}
        fitted = [name for name in FITTED if status["state"] == "finished" and (self.path / name).is_file()]
        write_description(self.path / STATUS, "status", status | {VOUCHED: file_hashes(self.path, fitted)})

    def _status(self) -> Description:
        return read_description(self.path / STATUS, "status")

    @property
    def finished(self) -> bool:
        """Whether training came to its end, and what was fitted there is as it was."""
        if self.status()["state"] != "finished":
            return False
        try:
            self.calibration()
        except BadDataError as error:
            logger.warning("%s", error)
            return False
        return True

    @property
    def learns(self) -> bool:
        """Whether its model has weights to learn, and so checkpoints."""
        kind = type(self.experiment.model)
        return kind.trainable or kind.fitted

    def latest(self) -> checkpoint.Checkpoint | None:
        """The newest finished checkpoint; None before the first."""
        found = checkpoint.steps(self.checkpoints)
        return checkpoint.load(self.checkpoints / f"step-{found[-1]}") if found else None

    def best(self) -> checkpoint.Checkpoint:
        """The checkpoint to forecast with: the best, or else the latest.

        Raises:
            MissingInputError: nothing was saved yet.
        """
        best = self.checkpoints / "best"
        saved = checkpoint.load(best) if best.exists() else self.latest()
        if saved is None:
            raise MissingInputError(f"{self.path}: no checkpoint yet; train it first")
        return saved

    def calibration(self) -> Calibration | None:
        """What was fitted after training; None where nothing was.

        Raises:
            BadDataError: lost, or changed since it was written.
        """
        require_unchanged(self.path, self._status()[VOUCHED], f"restore it, or {REFIT}")
        return Calibration.load(self.path)

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
            BadDataError: weights that do not fit the configuration, or a damaged calibration.
        """
        model = self.learnt_model(sampler)
        if isinstance(model, GenerativeModel):
            self._calibrate(model, sampler or self.experiment.sampler)
        return model

    def learnt_model(self, sampler: Sampler | None = None) -> Model:
        """The same with its spread as it was learnt."""
        weights = self.weights() if self.learns else {}
        model = self.build_model(sampler)
        if weights:
            model.load_state_dict(weights)
        return model.eval()

    def weights(self) -> checkpoint.Weights:
        """Those to forecast with, held against the model before a byte of it is reserved.

        Raises:
            MissingInputError: nothing was saved yet.
            BadDataError: of another configuration: a stranger's may ask for any size.
        """
        found = self.best().average
        try:
            with torch.device("meta"):
                model = self.experiment.model.build(self.lineage.model_shape(self.experiment))
        except RuntimeError as error:  # of sizes beyond what can be counted
            raise BadDataError(f"{self.path}: no such model can be built ({error}); train again") from None
        require_fitting(model, found, self.path)
        return found

    def _calibrate(self, model: GenerativeModel, sampler: Sampler | None) -> None:
        fit = self.calibration()
        if fit is None:
            return
        if fit.sampler != (sampler.settings() if sampler else None):
            logger.warning("%s: calibrated for another sampler; the spread is as it was learnt", self.path)
            return
        gains = torch.ones(0) if model.equalizer is None else model.equalizer.gains
        for name, wanted, fitted in (
            ("temperatures", model.temperature, fit.temperature),
            ("gains", gains, fit.gains or gains.flatten().tolist()),
        ):
            if len(fitted) != wanted.numel():
                raise BadDataError(f"{self.path}: {len(fitted)} {name} for {wanted.numel()}; {REFIT}")
            wanted.copy_(torch.tensor(fitted).view_as(wanted))


@dataclass(frozen=True, kw_only=True)
class BundledRun(Run):
    """A run in one file, to forecast with.

    Attributes:
        bundle: what the file holds.
    """

    bundle: Bundle

    def status(self) -> dict[str, Any]:
        """The run directory's, when it was exported."""
        return dict(self.bundle.document["status"])

    def best(self) -> checkpoint.Checkpoint:
        """The weights to forecast with."""
        weights = self.bundle.weights
        return checkpoint.Checkpoint(
            step=self.bundle.document["step"], weights=weights, average=weights, optimizer=None, progress={}
        )

    def calibration(self) -> Calibration | None:
        """What was fitted after training; None where nothing was."""
        fit = self.bundle.document["calibration"]
        return Calibration.from_settings(fit, self.path) if fit else None

    def require_whole(self) -> None:
        """Raise where what the methods read is not there, or the weights do not fit the model."""
        if not {"state", "step"} <= self.status().keys():
            raise BadDataError(f"{self.path}: its status lacks the state or step; make it again with `wml export`")
        self.calibration()
        self.weights()


def load_weights(model: Model, weights: checkpoint.Weights, path: Path) -> None:
    """Load weights by name, or raise BadDataError with the first difference."""
    require_fitting(model, weights, path)
    model.load_state_dict(weights)


def require_fitting(model: Model, weights: checkpoint.Weights, path: Path) -> None:
    """Raise BadDataError with the first difference in name or size."""
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise BadDataError(
                f"{path}: weight {name} is {theirs.get(name, 'absent')}, the model has {ours.get(name, 'none')}; "
                "the checkpoint is of another configuration"
            )


def create_run(path: Path, experiment: Experiment, dataset: Dataset | SequenceDataset) -> Run:
    """Freeze an experiment and its data's lineage in a new run directory."""
    run = Run(path=path, experiment=experiment, lineage=lineage_of(dataset))
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    write_text(path / "config.yaml", dump(experiment.settings()))
    write_json(path / "environment.json", environment())
    write_description(path / DATA, "run", run.lineage.settings() | {"files": file_hashes(path, FROZEN)})
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
    begun = (path / STATUS).exists()
    if not begun and not checkpoint.steps(path / "checkpoints"):
        return create_run(path, experiment, dataset)
    if not resume:
        raise ConfigError(f"{path}: exists; give another --run, or go on with --resume auto")
    run = _read_directory(path)
    difference = first_difference(run.experiment.settings(), experiment.settings())
    if difference:
        raise ConfigError(f"{path}: {difference}; give another --run, or the run's own configuration")
    if not begun:  # its status was lost
        run.set_status(state="created", step=0)
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
    """Open a run: a directory that `wml train` made, or a file that `wml export` made of one.

    Raises:
        MissingInputError: nothing there.
        BadDataError: not a run, or files that do not read.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path}: no such run; make one with `wml train`")
    return _open_bundle(path) if path.is_file() else _open_directory(path)


def is_run(path: Path) -> bool:
    """Whether a run lies at `path`, be it without its status, or a file that may hold one."""
    if path.is_file():
        return path.suffix == SUFFIX
    return (path / STATUS).is_file() or all((path / name).is_file() for name in (DATA, *FROZEN))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """What training logged in the run at `path`, oldest first: numbers by name, the `step` among them.

    Raises:
        BadDataError: a line that is damaged.
    """
    lines = read_json_lines(path / METRICS)
    for number, line in enumerate(lines, 1):
        if "step" not in line or not all(isinstance(value, int | float) for value in line.values()):
            raise BadDataError(f"{path / METRICS}: line {number} holds no step, or no numbers; take it out")
    return lines


def _open_directory(path: Path) -> Run:
    if not is_run(path):
        raise BadDataError(f"{path}: not a run (no {STATUS}); give the folder that `wml train` made")
    if not (path / STATUS).is_file():
        raise BadDataError(f"{path / STATUS}: lost, or training was killed as it began; the same `wml train` goes on")
    return _read_directory(path)


def _read_directory(path: Path) -> Run:
    data = read_description(path / DATA, "run")
    require_unchanged(path, data[VOUCHED], "restore it, or train again")
    try:
        settings = read_yaml((path / "config.yaml").read_text(encoding="utf-8"), "config.yaml")
        run = Run(path=path, experiment=parse(Experiment, settings), lineage=_lineage(data))
    except Exception as error:  # noqa: BLE001 - whatever a flipped bit breaks in them
        raise BadDataError(f"{path}: its files do not read ({reason(error)}); restore them or train again") from None
    return run


def _open_bundle(path: Path) -> BundledRun:
    bundle = read_bundle(path)
    try:
        experiment = parse(Experiment, bundle.document["configuration"])
        run = BundledRun(path=path, experiment=experiment, lineage=_lineage(bundle.lineage()), bundle=bundle)
        run.require_whole()
    except BadDataError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's settings break
        raise BadDataError(
            f"{path}: its settings do not read ({reason(error)}); make it again with `wml export`"
        ) from None
    return run


def _lineage(settings: dict[str, Any]) -> Lineage | SequenceLineage:
    kind = Lineage if settings.get("task", "forecast") == "forecast" else SequenceLineage
    return kind.from_settings(settings)


def environment() -> dict[str, Any]:
    """Python, platform and library versions."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
