"""What is to be forecast and blended, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.store import Dataset, open_dataset
from weatherml.data.windows import evenly, windows
from weatherml.errors import BadDataError
from weatherml.forecast.blend.config import BlendConfig, Fitted
from weatherml.forecast.blend.lead_fit import LeadFit
from weatherml.forecast.blend.members import Members, forecast_each, shares
from weatherml.forecast.blend.runs import common_targets, names, open_runs
from weatherml.forecast.ensemble import EnsembleConfig, choices
from weatherml.forecast.initial import initial_indices
from weatherml.progress import Progress
from weatherml.run.device import Device
from weatherml.run.directory import Run, open_run

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be forecast and blended.

    Attributes:
        runs: opened.
        dataset: whole, where the states come from.
        variables: names of what all runs forecast.
        config: how to blend.
        draw: how members are drawn, and the products.
        times: (N,) the initial times.
        learning: (n,) indices of initial times of the validation part to fit on; empty where nothing is fitted.
        steps: leads.
        device: where to compute.
    """

    runs: list[Run]
    dataset: Dataset
    variables: list[str]
    config: BlendConfig
    draw: EnsembleConfig
    times: Array
    learning: Array
    steps: int
    device: Device

    @property
    def lead_fit(self) -> LeadFit:
        """How it is fitted."""
        sizes = shares(self.runs, self.draw, pooled=not self.config.combine.fitted)
        return LeadFit(config=self.config, runs=names(self.runs), sizes=sizes)

    @property
    def common(self) -> Dataset:
        """The dataset narrowed to what all runs forecast."""
        return self.dataset.select(self.variables)

    def request(self) -> dict[str, Any]:
        """What must be equal for an unfinished blend to be gone on with."""
        return {
            "runs": [[str(run.path), run.status()["step"]] for run in self.runs],
            "data": str(self.dataset.path),
            "blend": self.config.settings(),
            "draw": choices(self.draw),
            "times": [str(time) for time in self.times],
            "learning": self.learning.tolist(),
            "steps": self.steps,
        }

    def make(self, folder: Path, times: Array, progress: Progress) -> Members:
        """Each run's forecasts from some times, but for those that lie in `folder`."""
        return forecast_each(
            self.runs,
            self.dataset.path,
            self.draw,
            sizes=self.lead_fit.sizes,
            init=[f"{time}Z" for time in times],
            steps=self.steps,
            folder=folder,
            device=self.device,
            progress=progress,
        )

    def fit(self, folder: Path, progress: Progress) -> tuple[Fitted, dict[str, Any]]:
        """What the validation part teaches, with the scores; the pool as it is where nothing is to be learnt."""
        common = self.common
        if len(self.learning) == 0:
            return self.lead_fit.unfitted(common.names, self.steps), {}
        made = self.make(folder, self.dataset.times[self.learning], progress)
        return self.lead_fit(made, common, self.learning, self.steps)


def planned(
    paths: Sequence[Path],
    data: Path,
    *,
    config: BlendConfig,
    draw: EnsembleConfig,
    init: Sequence[str],
    steps: int,
    device: Device,
    fitting: bool,
) -> Plan:
    """Check all that can be checked before any work; see `blend_forecasts` for what is raised."""
    runs, dataset = open_runs(paths), open_dataset(data)
    variables = common_targets(runs, config)
    for run in runs:
        run.forecast_lineage.matched(dataset)
    history = longest_history(runs, draw)
    shares(runs, draw, pooled=not config.combine.fitted)  # too few members are refused here
    return Plan(
        runs=runs,
        dataset=dataset,
        variables=variables,
        config=config,
        draw=draw,
        times=dataset.times[initial_indices(dataset, init, history=history)],
        learning=learning_indices(dataset, config, history, steps) if fitting else np.array([], int),
        steps=steps,
        device=device,
    )


def longest_history(runs: Sequence[Run], draw: EnsembleConfig) -> int:
    """States that must stand before and at an initial time of any run."""
    histories = [run.experiment.data.history for run in runs]
    perturbing = [open_run(draw.perturb).experiment.data.history + 1] if draw.perturb else []
    return max(histories + perturbing)


def learning_indices(dataset: Dataset, config: BlendConfig, history: int, steps: int) -> Array:
    """Indices of initial times of the validation part with a truth at every lead; empty where nothing is fitted.

    Raises:
        BadDataError: there is none.
    """
    if not config.learns("forecast"):
        return np.array([], int)
    try:
        return evenly(windows(dataset, "validation", history=history, lead=steps), config.cases)
    except BadDataError:
        raise BadDataError(
            f"{dataset.path}: validation has no {history} + {steps} states in a row to fit a blend on; "
            "take fewer --steps, or --combine pool"
        ) from None
