"""What an evaluation of sequences found, for both kinds of task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.sequences.store import SequenceDataset
from weatherml.errors import BadDataError
from weatherml.verify.sequences import emulation, events
from weatherml.verify.sequences.bootstrap import BLOCK_DAYS, Score, cells_of, scored
from weatherml.verify.sequences.cases import Cases, Fields, common_cases
from weatherml.verify.sequences.climate import CLIMATEBENCH_YEARS, CSE151B_WEIGHTS, climatebench_scores, cse151b_scores

Array = npt.NDArray[Any]
ByMetric = dict[str, Score]
TEST, VALIDATION = "test", "validation"


@dataclass(frozen=True, kw_only=True)
class Results:
    """Scores on the test part of a dataset.

    Attributes:
        truth: the dataset.
        cases: the samples scored.
        baseline: the name of what is scored beside the forecasts.
        scores: by forecast (the baseline last), target and metric.
        by_series: the same by forecast, target, series and metric; of emulators alone.
        competition: the scores of CSE151B by forecast and series, where its two fields are there.
        notes: in words, what was left out.
    """

    truth: SequenceDataset
    cases: Cases
    baseline: str
    scores: dict[str, dict[str, ByMetric]]
    by_series: dict[str, dict[str, dict[str, ByMetric]]] = field(default_factory=dict)
    competition: dict[str, dict[str, ByMetric]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def emulator_results(truth: SequenceDataset, forecasts: Mapping[str, Fields], *, resamples: int, seed: int) -> Results:
    """Scores of emulated fields beside the training mean."""
    cases = _test_cases(truth, {**forecasts, emulation.BASELINE: emulation.training_mean(truth)})
    rows, days = truth.grid.row_weights, BLOCK_DAYS[truth.task]

    series = {truth.series[number]: cases.of_series(number) for number in np.unique(cases.samples[:, 0])}

    def score(name: str, target: str, chosen: Array) -> ByMetric:
        cells = cells_of(cases.times[chosen], cases.samples[chosen, 0], days)
        sums = emulation.error_sums(cases.forecasts[name][target][chosen], cases.truth[target][chosen], rows, cells)
        return scored(partial(emulation.measures, sums, rows), cells, resamples=resamples, seed=seed)

    def by_series(name: str, target: str) -> dict[str, ByMetric]:
        return {
            one: score(name, target, chosen) | climatebench(cases, name, target, chosen, rows)
            for one, chosen in series.items()
        }

    everything = np.ones(len(cases.times), bool)
    return Results(
        truth=truth,
        cases=cases,
        baseline=emulation.BASELINE,
        scores={name: {each: score(name, each, everything) for each in f} for name, f in cases.forecasts.items()},
        by_series={name: {each: by_series(name, each) for each in f} for name, f in cases.forecasts.items()},
        competition={
            name: {one: cse151b(cases, name, chosen, rows) for one, chosen in series.items()}
            for name, f in cases.forecasts.items()
            if f.keys() >= CSE151B_WEIGHTS.keys()
        },
        notes=_left_out(truth, cases),
    )


def climatebench(cases: Cases, name: str, target: str, chosen: Array, rows: Array) -> ByMetric:
    """ClimateBench's scores of one series; none where its years are not all there or a point is unknown."""
    fields, times = [cases.forecasts[name][target][chosen], cases.truth[target][chosen]], cases.times[chosen]
    years = times.astype("datetime64[Y]").astype(int) + 1970
    first, last = CLIMATEBENCH_YEARS
    if not (np.isin(range(first, last + 1), years).all() and np.isfinite(fields).all()):
        return {}
    return _exact(climatebench_scores(fields[0], fields[1], times, rows=rows))


def cse151b(cases: Cases, name: str, chosen: Array, rows: Array) -> ByMetric:
    """The competition's scores of one series."""
    forecast, truth = (
        {each: f[each][chosen] for each in CSE151B_WEIGHTS} for f in (cases.forecasts[name], cases.truth)
    )
    return _exact(cse151b_scores(forecast, truth, rows=rows))


def _exact(found: dict[str, float]) -> ByMetric:
    return {metric: Score(value=value, low=np.nan, high=np.nan) for metric, value in found.items()}


def event_results(truth: SequenceDataset, forecasts: Mapping[str, Fields], *, resamples: int, seed: int) -> Results:
    """Scores of probabilities beside the base rate; thresholds are those of the best F1 in the validation part."""
    everyone = {**forecasts, events.BASELINE: events.base_rates(truth)}
    cases, earlier = _test_cases(truth, everyone), common_cases(truth, everyone, VALIDATION)
    cells = cells_of(cases.times, cases.samples[:, 0], BLOCK_DAYS[truth.task])
    notes = list(_left_out(truth, cases))

    def score(name: str, target: str) -> ByMetric:
        threshold = _threshold(earlier, name, target)
        if threshold is None:
            threshold = events.UNDECIDED
            notes.append(f"{name}: no positive of {target} in the validation part to choose by; threshold {threshold}")
        found = events.outcomes(cases.forecasts[name][target], cases.truth[target], cells.of)
        events.require_both(found, f"{truth.path}: {target}")
        scores = scored(partial(events.measures, found, threshold, cells), cells, resamples=resamples, seed=seed)
        return {**scores, "threshold": Score(value=threshold, low=np.nan, high=np.nan)}

    scores = {name: {target: score(name, target) for target in f} for name, f in cases.forecasts.items()}
    return Results(truth=truth, cases=cases, baseline=events.BASELINE, scores=scores, notes=tuple(notes))


def _threshold(earlier: Cases, name: str, target: str) -> float | None:
    if len(earlier.times) == 0:
        return None
    nowhere = np.zeros(len(earlier.times), np.int64)
    return events.best_threshold(events.outcomes(earlier.forecasts[name][target], earlier.truth[target], nowhere))


def _test_cases(truth: SequenceDataset, forecasts: Mapping[str, Fields]) -> Cases:
    cases = common_cases(truth, forecasts, TEST)
    if len(cases.times) == 0:
        raise BadDataError(f"{truth.path}: no test sample that all predictions hold; predict the test part")
    return cases


def _left_out(truth: SequenceDataset, cases: Cases) -> tuple[str, ...]:
    missing = len(truth.samples(TEST)) - len(cases.times)
    return (f"{missing} test samples are not known, or not predicted by all; left out",) if missing else ()
