"""What is scored by what: files and settings in, everything opened and matched out, here or in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from weatherml.config import Settings, parse_member
from weatherml.errors import BadDataError
from weatherml.variables import Variable
from weatherml.verify.baselines import BASELINES
from weatherml.verify.baselines.base import Baseline, BaselineConfig
from weatherml.verify.example import animated_variable
from weatherml.verify.files.forecasts import ForecastFile, open_forecast, open_forecasts
from weatherml.verify.files.truth import RollingFrames, Truth, open_truth
from weatherml.verify.scoring.case import TRUTH, Cards, Reader, score_cards
from weatherml.verify.scoring.cases import Cases, Reference, common_cases
from weatherml.verify.scoring.conditions import Conditions, storm_variable
from weatherml.verify.scoring.regions import read_regions

USUAL = ("persistence", "climatology")
USUAL_OF_ENSEMBLES = ("climatological-ensemble",)
NORMAL = "climatology"
SUFFIXES = (".zarr", ".nc")

GivenBaseline: TypeAlias = BaselineConfig | Settings | str | Path


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to score, as it travels to workers.

    Attributes:
        truth: the dataset store.
        forecasts: files.
        baselines: configurations, or the files of forecasts; None takes the usual ones.
        regions: as `--region` takes them.
    """

    truth: Path
    forecasts: tuple[Path, ...]
    baselines: tuple[BaselineConfig | Path, ...] | None
    regions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is scored, opened and matched. `open_inputs` makes it.

    Attributes:
        truth: the dataset.
        forecasts: files.
        baselines: the references.
        climatology: what anomalies are departures from; None where no metric asks, or the dataset has none.
        cases: initial times, lead times, variables, and in words what was left out.
        cards: the metrics.
        conditions: under which cases are scored apart.
    """

    truth: Truth
    forecasts: list[ForecastFile]
    baselines: list[Reference]
    climatology: Baseline | None
    cases: Cases
    cards: Cards
    conditions: Conditions

    @property
    def readers(self) -> list[Reader]:
        """Forecasts, then baselines."""
        return [*self.forecasts, *self.baselines]

    @property
    def animated(self) -> str:
        """The variable that tells which case is the liveliest."""
        return animated_variable(self.cases.variables)

    def frames(self) -> RollingFrames:
        """The truth's fields, for one case after another."""
        return RollingFrames(self.truth, self.cases.variables)


def open_inputs(request: Request) -> Inputs:
    """Open and match everything.

    Raises:
        MissingInputError: a file is not there.
        BadDataError: files that are broken, do not match, or have no case in common.
    """
    truth = open_truth(request.truth)
    forecasts = open_forecasts(request.forecasts, truth)
    wanted, skipped = usual_baselines(truth, forecasts) if request.baselines is None else (request.baselines, [])
    baselines = build_baselines(wanted, truth, [forecast.name for forecast in forecasts])
    cases = common_cases(truth, forecasts, baselines)
    variables, narrowed = zip(*(within_range(truth.variables[name]) for name in cases.variables), strict=True)
    regions = read_regions(request.regions, truth)
    cards, climatology, without = with_climatology(score_cards(variables, truth.grid.spacing_km), truth, baselines)
    storm = storm_variable(list(variables), animated_variable(cases.variables))
    notes = (*skipped, *cases.notes, *(note for note in narrowed if note), *without)
    return Inputs(
        truth=replace(truth, variables=truth.variables | {variable.name: variable for variable in variables}),
        forecasts=forecasts,
        baselines=baselines,
        climatology=climatology,
        cases=replace(cases, notes=notes),
        cards=cards,
        conditions=Conditions(storm=storm, regions=regions),
    )


def usual_baselines(truth: Truth, forecasts: Sequence[ForecastFile]) -> tuple[list[BaselineConfig], list[str]]:
    """The usual baselines that a dataset allows, and in words why not the others."""
    ensembles = any(forecast.members > 1 for forecast in forecasts)
    inits = np.concatenate([forecast.init_times for forecast in forecasts])
    allowed, skipped = [], []
    for name in (*USUAL, *(USUAL_OF_ENSEMBLES if ensembles else ())):
        config = BASELINES[name]()
        try:
            available = config.build(truth).available(inits)
        except BadDataError as error:
            skipped.append(f"{error}; left out")
        else:
            if name in USUAL or available.all():
                allowed.append(config)
            else:  # nobody asked for it, so it may not cost a case
                skipped.append(f"{name}: not to be had for {int((~available).sum())} initial times; left out")
    return allowed, skipped


def read_baseline(given: GivenBaseline) -> BaselineConfig | Path:
    """A baseline's configuration, or the path of a forecast that serves as one."""
    if isinstance(given, Path) or (isinstance(given, str) and _is_path(given)):
        return Path(given)
    config: BaselineConfig = parse_member(BASELINES, given, at="baseline")
    return config


def _is_path(text: str) -> bool:
    return text not in BASELINES and (Path(text).suffix in SUFFIXES or Path(text).exists())


def build_baselines(baselines: Sequence[BaselineConfig | Path], truth: Truth, taken: Sequence[str]) -> list[Reference]:
    """The baselines of a dataset; none may have a forecast's name.

    Raises:
        BadDataError: a name is taken, or the dataset lacks what a baseline needs.
    """
    own = [baseline.stem if isinstance(baseline, Path) else baseline.kind for baseline in baselines]
    names = [*taken, *own, TRUTH]
    for name in names:
        if names.count(name) > 1:
            raise BadDataError(f"{name}: two forecasts or baselines have this name; rename the file or leave one out")
    return [open_forecast(each, truth) if isinstance(each, Path) else each.build(truth) for each in baselines]


def with_climatology(
    cards: Cards, truth: Truth, baselines: Sequence[Reference]
) -> tuple[Cards, Baseline | None, list[str]]:
    """The score cards, the climatology that they ask for, and in words what goes without one."""
    asking = sorted({name for card in cards.values() for name, metric in card.items() if metric.of_anomalies})
    if not asking:
        return cards, None, []
    try:
        built = BASELINES[NORMAL]().build(truth)
    except BadDataError as error:
        rest = {variable: {n: m for n, m in card.items() if not m.of_anomalies} for variable, card in cards.items()}
        return rest, None, [f"{', '.join(asking)} left out: {error}"]
    shared = [each for each in baselines if isinstance(each, type(built))]  # its means are taken once
    return cards, shared[0] if shared else built, []


def within_range(variable: Variable) -> tuple[Variable, str]:
    """A variable without the thresholds that it cannot reach, and in words which those were."""
    low = -np.inf if variable.valid_min is None else variable.valid_min
    high = np.inf if variable.valid_max is None else variable.valid_max
    kept = tuple(threshold for threshold in variable.thresholds if low <= threshold <= high)
    lost = [f"{threshold:g}" for threshold in variable.thresholds if threshold not in kept]
    note = f"{variable.name}: thresholds {', '.join(lost)} outside {low:g} to {high:g} {variable.units}; left out"
    return variable.model_copy(update={"thresholds": kept}), note if lost else ""
