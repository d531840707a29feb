"""From the sums of all parts to scores: curves, comparisons, conditions, diagrams and spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from weatherml.errors import BadDataError
from weatherml.metrics.base import Metric, Statistics
from weatherml.verify.files.truth import Array
from weatherml.verify.scores.bootstrap import Curve, block_draws, curve, in_blocks, samples
from weatherml.verify.scores.comparison import LEAST_BLOCKS, Comparisons, compare_all
from weatherml.verify.scores.scores import SPECTRA, Conditional, Curves, Diagrams, Scores
from weatherml.verify.scoring.case import CASES, TRUTH
from weatherml.verify.scoring.cases import Cases
from weatherml.verify.scoring.columns import Key
from weatherml.verify.scoring.inputs import Inputs
from weatherml.verify.scoring.parts import Part


@dataclass(frozen=True)
class Tally:
    """The parts of an evaluation in the order of their blocks; a key's statistics are put together when asked for."""

    parts: Sequence[Part]

    def has(self, key: Key) -> bool:
        """Whether anything was summed under a key."""
        return key in self.parts[0].conditional_columns.spans or key in self.parts[0].other_columns.spans

    def statistics(self, key: Key) -> Statistics:
        """(blocks, groups, L) or (blocks, groups, L, bins): group 0 is all cases, then the labels of conditions."""
        columns = self.parts[0].conditional_columns
        if key in columns.spans:
            each = [columns.of(part.conditional, key) for part in self.parts]
        else:
            each = [self.parts[0].other_columns.of(part.others.unsqueeze(0), key) for part in self.parts]
        return {name: torch.stack([statistics[name] for statistics in each]) for name in each[0]}

    def total(self, key: Key) -> Statistics:
        """Sums over all cases, (L,) or (L, bins)."""
        return {name: part[:, 0].sum(0) for name, part in self.statistics(key).items()}

    def cases(self, variable: str) -> Tensor:
        """The number of cases, (blocks, groups, L)."""
        return self.statistics((TRUTH, variable, CASES))["scored"]


@dataclass
class Found:
    """What is known of the scores so far."""

    curves: Curves = field(default_factory=dict)
    comparisons: Comparisons = field(default_factory=dict)
    conditions: Conditional = field(default_factory=dict)
    diagrams: Diagrams = field(default_factory=dict)


def finish(inputs: Inputs, parts: Sequence[Part], *, resamples: int, seed: int, metadata: dict[str, Any]) -> Scores:
    """Every score with its interval, and every forecast against the others.

    Raises:
        BadDataError: no variable was scored anywhere.
    """
    tally = Tally(parts)
    cases = scored_cases(inputs, tally)
    draws = block_draws(len(parts), resamples, seed)
    found = Found()
    for variable in cases.variables:
        for metric in inputs.cards[variable].values():
            _finish_metric(found, inputs, tally, variable, metric, draws=draws)
    lively = torch.cat([part.liveliness for part in parts])
    return Scores(
        forecasts=[forecast.name for forecast in inputs.forecasts],
        baselines=[baseline.name for baseline in inputs.baselines],
        variables={name: inputs.truth.variables[name] for name in cases.variables},
        cards={name: inputs.cards[name] for name in cases.variables},
        cases=cases,
        counts={name: tally.cases(name)[:, 0].sum(0) for name in cases.variables},
        curves=found.curves,
        comparisons=found.comparisons,
        conditions=found.conditions,
        case_errors=_case_errors(inputs, parts, cases.variables),
        spotlight=cases.init_times[int(lively.argmax())],
        diagrams=found.diagrams,
        spectra=mean_spectra(tally, inputs, cases.variables),
        metadata={**metadata, "notes": list(cases.notes)},
    )


def _finish_metric(found: Found, inputs: Inputs, tally: Tally, variable: str, metric: Metric, *, draws: Tensor) -> None:
    """Add all that one metric of one variable says."""
    forecasts, baselines = ([each.name for each in some] for some in (inputs.forecasts, inputs.baselines))
    cases, sampled = tally.cases(variable), {}
    for name in (*forecasts, *baselines):
        path = (name, variable, metric.name)
        if tally.has(path):
            sums = tally.statistics(path)
            scores = samples(metric, sums, draws)
            sampled[name] = scores[:, 0]
            groups = curve(scores, cases[:, : scores.shape[1]])
            _put(found.curves, _group(groups, 0), *path)
            for index, label in enumerate(inputs.conditions.labels[: scores.shape[1] - 1], start=1):
                if cases[:, index].any():
                    _put(found.conditions, _group(groups, index), *label, *path)
            diagram = metric.diagram({part: value[:, 0].sum(0) for part, value in sums.items()})
            if diagram is not None:
                _put(found.diagrams, diagram, *path)
    enough = in_blocks(cases[:, 0], LEAST_BLOCKS)
    for pair, comparison in compare_all(sampled, forecasts, baselines, perfect=metric.perfect, enough=enough).items():
        _put(found.comparisons, comparison, *pair, variable, metric.name)


def _put(tree: dict[str, Any], value: object, *path: str) -> None:
    for branch in path[:-1]:
        tree = tree.setdefault(branch, {})
    tree[path[-1]] = value


def _group(groups: Curve, index: int) -> Curve:
    return Curve(groups.value[index], groups.low[index], groups.high[index])


def _case_errors(inputs: Inputs, parts: Sequence[Part], variables: Sequence[str]) -> dict[str, dict[str, Array]]:
    """The error of each case by reader and variable, (I,); of a baseline what it forecasts."""
    errors = torch.cat([part.errors for part in parts], dim=-1).numpy()
    return {
        reader.name: {
            name: errors[i, j] for j, name in enumerate(inputs.cards) if name in variables and name in reader.variables
        }
        for i, reader in enumerate(inputs.readers)
    }


def mean_spectra(tally: Tally, inputs: Inputs, variables: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Mean power spectra by forecast (and of the truth) and variable, (L, bins)."""
    spectra: dict[str, dict[str, Tensor]] = {}
    for variable in variables:
        count = tally.cases(variable)[:, 0].sum(0).unsqueeze(-1)
        for reader in inputs.readers:
            if tally.has((reader.name, variable, SPECTRA)):
                total = tally.total((reader.name, variable, SPECTRA))
                spectra.setdefault(reader.name, {})[variable] = total["forecast_power"] / count
                spectra.setdefault(TRUTH, {})[variable] = total["truth_power"] / count
    return spectra


def scored_cases(inputs: Inputs, tally: Tally) -> Cases:
    """The cases with the variables of which anything was scored, and in words what was lost to missing values.

    Raises:
        BadDataError: nothing was scored at all.
    """
    kept = [name for name in inputs.cases.variables if tally.cases(name)[:, 0].any()]
    notes = [note for name in inputs.cases.variables for note in _lost(inputs, tally, name)]
    notes += [f"{name}: nothing scored; left out" for name in inputs.cases.variables if name not in kept]
    if not kept:
        raise BadDataError(
            f"{inputs.truth.path}: no point that the truth and all forecasts know ({'; '.join(notes)}); "
            "leave out what holds no values"
        )
    return replace(inputs.cases, variables=kept, notes=(*inputs.cases.notes, *notes))


def _lost(inputs: Inputs, tally: Tally, variable: str) -> list[str]:
    """In words, who lacks values that the truth has, or that the truth has none."""
    notes, size = [], len(inputs.cases.init_times) * len(inputs.cases.lead_times)
    for reader in inputs.readers:
        if tally.has((reader.name, variable, CASES)):
            lacking = tally.total((reader.name, variable, CASES))
            lost, less = int(lacking["lost"].sum()), int(lacking["incomplete"].sum())
            if lost or less:
                notes.append(
                    f"{reader.name}: {variable}: of {size} forecasts (initial and lead time) {lost} hold no value "
                    f"where the truth has one, {less} lack points or members; those points are left out for all"
                )
    if not notes and not tally.cases(variable)[:, 0].any():
        notes.append(f"{inputs.truth.path}: {variable}: no value at the times of the forecasts")
    return notes
