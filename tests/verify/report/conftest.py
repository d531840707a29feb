"""Scores, cases and a truth of the small world, made by hand: three forecasts, of which one has members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.verify.conftest import HOUR, START, world, write_truth
from weatherml.metrics.base import Metric
from weatherml.verify.example import read_gallery
from weatherml.verify.files.truth import Array, Truth, open_truth
from weatherml.verify.report import render
from weatherml.verify.scores.bootstrap import Curve
from weatherml.verify.scores.comparison import compare_all
from weatherml.verify.scores.scores import TRUTH, Curves, Scores
from weatherml.verify.scoring.case import score_cards
from weatherml.verify.scoring.cases import Cases

MakeReport = Callable[..., tuple[Scores, str]]
INITS = START + np.array([50, 56, 68, 72]) * HOUR
SPREAD = torch.linspace(0.9, 1.1, 21, dtype=torch.float64)[:, None]  # stands for the resamples


@dataclass(frozen=True)
class Shifted:
    """A forecast of the world, out of phase."""

    name: str
    members: int
    phase: float
    size: int
    variables: list[str]

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """(L, M, H, W)."""
        phases = [self.phase * (1 + 0.4 * member) for member in range(self.members)]
        return np.stack([world(init_time + lead_times, self.size, phase=p)[name] for p in phases], axis=1)


def judge(readers: Sequence[Shifted], store: Truth, cases: Cases) -> Scores:
    """Real values on the cases; intervals, conditions and comparisons of made-up resamples."""
    variables = {name: store.variables[name] for name in cases.variables}
    cards = score_cards(list(variables.values()), store.grid.spacing_km)
    rows = torch.from_numpy(store.grid.row_weights)
    curves, comparisons, diagrams, spectra = {}, {}, {}, {}
    ours, theirs = [reader.name for reader in readers[:-1]], [readers[-1].name]
    for variable, card in cards.items():
        truths = [torch.from_numpy(store.read(t + cases.lead_times, [variable])[variable]) for t in cases.init_times]
        forecasts = {
            reader.name: [torch.from_numpy(reader.read(t, cases.lead_times, variable)) for t in cases.init_times]
            for reader in readers
        }
        for metric in (metric for metric in card.values() if not metric.of_anomalies):
            found = {}
            for reader in readers:
                if metric.needs_members and reader.members == 1:
                    continue
                sums = summed(metric, forecasts[reader.name], truths, rows)
                value, diagram = metric.value(sums), metric.diagram(sums)
                found[reader.name] = torch.cat([value[None], value * SPREAD])
                curve = Curve(value, 0.93 * value, 1.07 * value)
                curves.setdefault(reader.name, {}).setdefault(variable, {})[metric.name] = curve
                if diagram is not None:
                    diagrams.setdefault(reader.name, {}).setdefault(variable, {})[metric.name] = diagram
                if metric.kind == "log_spectral_distance":
                    spectra.setdefault(reader.name, {})[variable] = sums["forecast_power"]
                    spectra.setdefault(TRUTH, {})[variable] = sums["truth_power"]
            enough = torch.ones(len(cases.lead_times), dtype=torch.bool)
            compared = compare_all(found, ours, theirs, perfect=metric.perfect, enough=enough)
            for (name, other), comparison in compared.items():
                of = comparisons.setdefault(name, {}).setdefault(other, {}).setdefault(variable, {})
                of[metric.name] = comparison
    return Scores(
        forecasts=ours, baselines=theirs, variables=variables, cards=cards, cases=cases,
        counts={name: torch.full((len(cases.lead_times),), len(cases.init_times)) for name in variables},
        curves=curves, comparisons=comparisons, conditions=conditions(curves),
        case_errors={name: {v: np.array([3.0, 1.0, np.nan, 2.0]) for v in variables} for name in ours},
        spotlight=cases.init_times[1], diagrams=diagrams, spectra=spectra,
        metadata={
            "title": store.title, "members": {reader.name: reader.members for reader in readers},
            "grid": list(store.grid.shape), "spacing_km": store.grid.spacing_km, "init_times": len(cases.init_times),
        },
    )  # fmt: skip


def summed(metric: Metric, forecasts: list[torch.Tensor], truths: list[torch.Tensor], rows: torch.Tensor) -> dict:
    """Statistics of all cases."""
    parts = [metric.statistics(f, t, t.isfinite(), rows) for f, t in zip(forecasts, truths, strict=True)]
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def conditions(curves: Curves) -> dict[str, dict[str, Curves]]:
    """The same curves under every label."""
    labels = {"hour_of_day": ["00-06", "06-12", "12-18", "18-24"], "regime": ["calm", "active"], "region": ["land"]}
    return {condition: dict.fromkeys(names, curves) for condition, names in labels.items()}


@pytest.fixture(scope="session")
def make_report(tmp_path_factory: pytest.TempPathFactory) -> MakeReport:
    """Scores and page of an ensemble, another forecast and a baseline."""

    def make(
        *, names: Sequence[str] = ("refc", "t2m"), leads: int = 6, size: int = 24, members: int = 5
    ) -> tuple[Scores, str]:
        path: Path = write_truth(tmp_path_factory.mktemp("report") / "truth.zarr", names=names, size=size, hours=100)
        store = open_truth(path)
        readers = [
            Shifted(name, count, phase, size, list(names))
            for name, count, phase in (("mine", members, 0.02), ("theirs", 1, 0.04), ("persistence", 1, 0.15))
        ]
        lead_times = np.arange(1, leads + 1) * HOUR
        cases = Cases(init_times=INITS, lead_times=lead_times.astype("timedelta64[s]"), variables=list(names), notes=())
        scores = judge(readers, store, cases)
        return scores, render(scores, read_gallery(readers[:-1], readers[-1:], store, scores), store)

    return make
