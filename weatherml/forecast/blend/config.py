"""How runs are blended, and what was fitted, as it is written and read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, SerializeAsAny, field_validator

from weatherml.config import Config, parse, parse_member
from weatherml.data.sequences.store import BINARY
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.forecast.blend.combiners import COMBINERS, Combiner
from weatherml.forecast.blend.fit import Blend
from weatherml.forecast.blend.pool import Pool
from weatherml.seal import read_description, write_description
from weatherml.tasks import Task

Calibration = Literal["platt", "isotonic", "spread", "none"]
SERVED: dict[Task, tuple[Calibration, ...]] = {
    "forecast": ("spread", "none"),
    "emulate": ("none",),
    "classify": ("platt", "isotonic", "none"),
    "segment": ("platt", "isotonic", "none"),
}
"""The calibrations of each task, the usual one first."""


class BlendConfig(Config):
    """How runs are blended.

    Attributes:
        combine: a member of the combiners, by `kind`.
        calibration: of probabilities `platt` or `isotonic`, of ensembles `spread`, or `none`; None takes what is
            usual: `platt`, and `spread` unless members are merely pooled.
        channels: `refuse` runs that differ in what they predict, or blend what is `common` to all.
        blocks: spans of time of the validation part, each judged by fits on the others.
        cases: initial times of the validation part from which forecasts are made for the fit.
    """

    combine: SerializeAsAny[Combiner] = Pool()
    calibration: Calibration | None = None
    channels: Literal["refuse", "common"] = "refuse"
    blocks: int = Field(5, ge=3)
    cases: PositiveInt = Field(16, ge=3)

    @field_validator("combine", mode="before")
    @classmethod
    def _combine(cls, value: Any) -> Any:
        return parse_member(COMBINERS, value, at="combine")

    def calibration_for(self, task: Task) -> Calibration:
        """The calibration that was set, or the usual one.

        Raises:
            ConfigError: the task has no use for it.
        """
        served = SERVED[task]
        if self.calibration is None:
            return "none" if task == "forecast" and not self.combine.fitted else served[0]
        if self.calibration not in served:
            raise ConfigError(f"calibration: {self.calibration} is not for {task}; take {' or '.join(served)}")
        return self.calibration

    def learns(self, task: Task) -> bool:
        """Whether anything is fitted on the validation part.

        Raises:
            ConfigError: settings that do not suit the task.
        """
        self.combine.check(binary=task in BINARY)
        return self.calibration_for(task) != "none" or self.combine.fitted


class Fitted(Config):
    """What was fitted: blends by target, one of them, or for forecasts one a lead.

    Attributes:
        task: of the runs.
        runs: their names, in order.
        combine: kind of the combiner.
        blends: by target.
        spread: by target and lead, what multiplies the members' deviations; empty where nothing does.
    """

    task: Task
    runs: tuple[str, ...]
    combine: str
    blends: dict[str, tuple[Blend, ...]]
    spread: dict[str, tuple[float, ...]] = Field(default={})

    def require_for(self, task: Task, runs: tuple[str, ...], targets: Sequence[str], leads: int = 1) -> None:
        """Raise BadDataError where this was not fitted for these runs, targets and leads, naming the difference."""
        for what, ours, theirs in (("task", self.task, task), ("runs", " + ".join(self.runs), " + ".join(runs))):
            if ours != theirs:
                raise BadDataError(f"weights: fitted for {what} {ours}, not {theirs}; fit anew without --weights")
        for target in targets:
            found = len(self.blends.get(target, ()))
            if found < leads:
                raise BadDataError(
                    f"weights: {target} fitted for {found} lead(s), not {leads}; fit anew without --weights"
                )


def blend_path(output: Path) -> Path:
    """Where what was fitted for an output is written, beside it."""
    return output.with_name(f"{output.stem}.blend.json")


def write_blend(output: Path, config: BlendConfig, fitted: Fitted, scores: dict[str, Any]) -> None:
    """Write what was fitted and how good it is beside the output."""
    content = {"settings": config.settings(), "fitted": fitted.settings(), "scores": scores}
    write_description(blend_path(output), "blend", content)


def read_blend(path: Path) -> tuple[BlendConfig, Fitted]:
    """Read what `write_blend` wrote.

    Raises:
        MissingInputError: nothing there.
        BadDataError: another file, or one changed since it was written.
    """
    if not path.exists():
        raise MissingInputError(f"{path}: no such file; give the .blend.json of an earlier blend")
    content = read_description(path, "blend")
    try:
        return parse(BlendConfig, content["settings"]), parse(Fitted, content["fitted"])
    except (ConfigError, KeyError, TypeError) as error:
        raise BadDataError(
            f"{path}: not weights of a blend ({error}); give the .blend.json of an earlier one"
        ) from None


def chosen(config: BlendConfig | None, weights: Path | None) -> tuple[BlendConfig, Fitted | None]:
    """How to blend, and what an earlier blend fitted, where its file is given.

    Raises:
        MissingInputError: no such file.
        BadDataError: another file, or one of another combiner.
    """
    if weights is None:
        return config or BlendConfig(), None
    theirs, fitted = read_blend(weights)
    if config is not None and config.combine.kind != fitted.combine:
        raise BadDataError(f"{weights}: fitted for {fitted.combine}, not {config.combine.kind}; leave --combine out")
    return theirs, fitted
