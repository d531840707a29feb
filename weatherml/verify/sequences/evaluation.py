"""Evaluate predictions: open, match, score, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from weatherml.data.sequences.store import open_sequences
from weatherml.files import write_text
from weatherml.page import fill
from weatherml.tasks import Task
from weatherml.verify.report.lines import read_lines
from weatherml.verify.report.maps import map_frame
from weatherml.verify.report.page import PACKAGE
from weatherml.verify.scores.bootstrap import HIGH, LOW
from weatherml.verify.scores.output import FILES, claim_output, write_scores
from weatherml.verify.sequences import emulation, events
from weatherml.verify.sequences.bootstrap import BLOCK_DAYS, Score
from weatherml.verify.sequences.cases import open_all
from weatherml.verify.sequences.page import Table, page_context, score_table
from weatherml.verify.sequences.results import Results, emulator_results, event_results

TEMPLATE = "sequences.html.j2"


@dataclass(frozen=True, kw_only=True)
class SequenceEvaluation:
    """What was written, and what a command line prints of it.

    Attributes:
        report: path of report.html.
        scores: path of scores.json.
        tables: the scores of each target.
        notes: in words, what was left out.
    """

    report: Path
    scores: Path
    tables: list[Table]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Judge:
    """How predictions of a task are scored: what by, and beside what."""

    results: Callable[..., Results]
    baseline: str
    glossary: dict[str, str]


_EVENTS = Judge(event_results, events.BASELINE, events.GLOSSARY)
JUDGES: dict[Task, Judge] = {
    "emulate": Judge(emulator_results, emulation.BASELINE, emulation.GLOSSARY),
    "classify": _EVENTS,
    "segment": _EVENTS,
}


def evaluate_predictions(
    predictions: Sequence[Path],
    truth: Path,
    *,
    output: Path,
    overwrite: bool = False,
    states: Path | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> SequenceEvaluation:
    """Score files of predictions on the test samples that they have in common; write scores.json and report.html.

    Args:
        predictions: files of `wml rollout` on one dataset of sequences.
        truth: the dataset.
        output: the folder to write.
        overwrite: replace the scores that stand there.
        states: a GeoJSON file of lines in longitude and latitude for the maps.
        resamples: bootstrap resamples behind the intervals.
        seed: of the bootstrap.

    Raises:
        MissingInputError: a file is not there.
        BadDataError: files that are broken, do not match the truth, or have no sample to score.
        OutputError: `output` holds scores, or cannot be written.
    """
    with claim_output(output, overwrite=overwrite):
        store = open_sequences(truth)
        judge = JUDGES[store.task]
        lines = read_lines(states, store.grid) if states else []
        forecasts = open_all(list(predictions), store, judge.baseline)
        fields = {name: said.values for name, said in forecasts.items()}
        attention = {name: said.attention for name, said in forecasts.items() if said.attention is not None}
        results = judge.results(store, fields, resamples=resamples, seed=seed)
        found = scores_json(results) | {"metadata": metadata(results, predictions, resamples=resamples, seed=seed)}
        page = fill(PACKAGE, TEMPLATE, page_context(results, judge.glossary, map_frame(store.grid, lines), attention))
        (output / FILES[-1]).unlink(missing_ok=True)  # the scores say that all is there
        write_text(output / "report.html", page)
        write_scores(output, found, beside=["report.html"])
    return SequenceEvaluation(
        report=output / "report.html",
        scores=output / "scores.json",
        tables=[score_table(results, target.name) for target in store.targets],
        notes=results.notes,
    )


def scores_json(results: Results) -> dict[str, Any]:
    """The scores as they stand in scores.json; what was not scored is null."""
    apart = {"by_series": results.by_series, "cse151b": results.competition}
    return {"forecasts": _plain(results.scores), **{name: _plain(each) for name, each in apart.items() if each}}


def _plain(found: Any) -> Any:
    if isinstance(found, Score):
        return {name: None if np.isnan(each) else each for name, each in vars(found).items()}
    return {name: _plain(each) for name, each in found.items()}


def metadata(results: Results, predictions: Sequence[Path], *, resamples: int, seed: int) -> dict[str, Any]:
    """What was scored, plain types."""
    truth, cases = results.truth, results.cases
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": truth.task,
        "truth": str(truth.path),
        "forecast_files": [str(path) for path in predictions],
        "baselines": [results.baseline],
        "units": {target.name: target.units for target in truth.targets},
        "samples": len(cases.times),
        "series": len(np.unique(cases.samples[:, 0])),
        "first": f"{cases.times.min()}Z",
        "last": f"{cases.times.max()}Z",
        "grid": list(truth.grid.shape),
        "interval": {
            "low": LOW,
            "high": HIGH,
            "block_days": BLOCK_DAYS[truth.task],
            "resamples": resamples,
            "seed": seed,
        },
        "notes": list(results.notes),
    }
