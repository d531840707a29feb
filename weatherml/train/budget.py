"""Settings of a training step that fit a memory budget, cheapest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from weatherml.errors import UnavailableError, UsageError
from weatherml.fields import Shape
from weatherml.files import readable_size
from weatherml.run.experiment import Experiment
from weatherml.train.plan import Plan, StepSettings, plan

UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
HEADROOM = 0.9
"""The share of a card that tensors may take: the rest is the driver's, the libraries' and fragmentation."""
CONUS = (1059, 1799)
HRRR_CHANNELS = 7


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """A plan and the settings it was made for."""

    plan: Plan
    settings: StepSettings

    def table(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**vars(self.plan), "settings": self.settings.settings()}


def fit(experiment: Experiment, shape: Shape, *, vram: int | None = None, low_memory: bool = False) -> Budgeted:
    """The first of the experiment's own settings and thriftier ones that fits into `vram` bytes.

    Raises:
        UnavailableError: none fits.
    """
    tried = []
    for settings in candidates(experiment, low_memory=low_memory):
        found = plan(experiment.model, shape, loss=experiment.loss, settings=settings, sampler=experiment.sampler)
        if vram is None or found.train_peak_bytes <= HEADROOM * vram:
            return Budgeted(plan=found, settings=settings)
        tried.append(found.train_peak_bytes)
    assert vram is not None
    raise UnavailableError(
        f"--vram {readable_size(vram)}: the thriftiest setting needs {readable_size(min(tried))} and {HEADROOM:.0%} of "
        "the card can be used; lower model.base_features or set data.crop"
    )


def candidates(experiment: Experiment, *, low_memory: bool) -> list[StepSettings]:
    """Settings from fast to thrifty, all with the experiment's effective batch."""
    config = experiment.train
    effective = config.batch * config.accumulate
    precision = "float32" if config.precision == "32-true" else "bf16"
    choices = [(config.batch, config.checkpointing), (config.batch, "blocks"), (1, "blocks")]
    return [
        StepSettings(
            batch=batch,
            accumulate=effective // batch,
            precision=precision,
            checkpointing=checkpointing,
            horizon=config.horizon,
            optimizer=config.optimizer,
        )
        for batch, checkpointing in (choices[-1:] if low_memory else choices)
    ]


def default_shape(experiment: Experiment, *, grid: tuple[int, int] | None, channels: int | None) -> Shape:
    """What a model meets on HRRR: full CONUS, seven channels, sun and clock, terrain and coast."""
    names = experiment.data.variables
    height, width = grid or experiment.data.crop or CONUS
    count = channels or (len(names) if names else HRRR_CHANNELS)
    return Shape(
        channels=count,
        history=experiment.data.history,
        lead=experiment.data.lead,
        forcing=5,
        static=2,
        height=height,
        width=width,
        delta_std=(1.0,) * count,
    )


def parse_size(text: str) -> int:
    """Bytes from `24GiB`, `800 MB`, `1e9`.

    Raises:
        UsageError: not a size.
    """
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)\s*([a-zA-Z]*)", text.strip())
    if match is None or match[2].upper() not in UNITS:
        raise UsageError(f"{text}: not a size; write for example 24GiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def parse_grid(text: str) -> tuple[int, int]:
    """Rows and columns from `1059x1799`.

    Raises:
        UsageError: not a grid.
    """
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text.strip())
    if match is None:
        raise UsageError(f"--grid {text}: not ROWSxCOLUMNS; write for example 1059x1799")
    return int(match[1]), int(match[2])
