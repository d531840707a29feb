"""Evaluate: open, match, score case after case, finish, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from weatherml.config import Settings, parse_member
from weatherml.errors import BadDataError
from weatherml.verify.baselines import BASELINES
from weatherml.verify.baselines.base import Baseline, BaselineConfig
from weatherml.verify.cases import Cases, common_cases
from weatherml.verify.diagrams import finish_diagrams
from weatherml.verify.example import Example, Spotlight, read_example
from weatherml.verify.forecasts import ForecastFile, open_forecasts
from weatherml.verify.output import claim_output, write_output
from weatherml.verify.report import render
from weatherml.verify.report.lines import read_lines
from weatherml.verify.scores import Headline, Scores, finish, headlines, mean_spectra
from weatherml.verify.scoring import Cards, Reader, score_cards, score_case
from weatherml.verify.tally import Tally, block_of
from weatherml.verify.truth import RollingFrames, Truth, open_truth

Progress = Callable[[int, int], None]
BLOCK_HOURS = 24
USUAL = ("persistence", "climatology")
USUAL_OF_ENSEMBLES = ("climatological-ensemble",)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was written, and what a command line prints of it.

    Attributes:
        report: path of report.html.
        scores: path of scores.json; scores.nc lies beside it.
        headlines: RMSE beside the baselines' at a few leads.
        notes: in words, what was left out.
    """

    report: Path
    scores: Path
    headlines: list[Headline]
    notes: tuple[str, ...]


def evaluate(
    forecasts: Sequence[Path],
    truth: Path,
    *,
    baselines: Sequence[BaselineConfig | Settings | str] | None = None,
    output: Path,
    overwrite: bool = False,
    states: Path | None = None,
    resamples: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Score forecast files and baselines on their common cases; write scores.json, scores.nc and report.html.

    Args:
        forecasts: zarr stores or NetCDF files with (init_time, lead_time[, member], y, x).
        truth: the dataset store.
        baselines: names, settings or configurations of baselines; None takes those of `USUAL`, and of
            `USUAL_OF_ENSEMBLES` where a forecast has members, that this dataset allows.
        output: the folder to write.
        overwrite: replace the scores that stand there.
        states: a GeoJSON file of lines in longitude and latitude for the maps.
        resamples: bootstrap resamples behind the intervals.
        seed: of the bootstrap.
        progress: called with (cases done, cases in all); None draws a bar on a terminal.

    Raises:
        MissingInputError: a file is not there.
        BadDataError: files that are broken, do not match, or have no case in common.
        OutputError: `output` holds scores, or cannot be written.
    """
    with claim_output(output, overwrite=overwrite):
        store = open_truth(truth)
        lines = read_lines(states, store.grid) if states else []
        files = open_forecasts(forecasts, store)
        wanted, skipped = usual_baselines(store, files) if baselines is None else (baselines, [])
        references = build_baselines(wanted, store, [file.name for file in files])
        cases = common_cases(store, files, references)
        cards = score_cards([store.variables[name] for name in cases.variables], store.grid.spacing_km)
        spotlight = Spotlight(cases)
        tally = score_cases([*files, *references], store, cases, cards, spotlight=spotlight, progress=progress)
        scores = Scores(
            forecasts=[file.name for file in files],
            baselines=[reference.name for reference in references],
            variables={name: store.variables[name] for name in cases.variables},
            cards=cards,
            cases=cases,
            counts={name: count.sum(0) for name, count in tally.cases.items()},
            curves=finish(tally, cards, resamples=resamples, seed=seed),
            diagrams=finish_diagrams(tally, cards),
            spectra=mean_spectra(tally),
            metadata=_metadata(store, cases, files, references, resamples=resamples, seed=seed),
        )
        example: Example = read_example(files[0], store, cases, spotlight.init_time)
        write_output(output, scores, render(scores, example, store, lines))
    return Evaluation(
        report=output / "report.html",
        scores=output / "scores.json",
        headlines=headlines(scores),
        notes=(*skipped, *cases.notes),
    )


def usual_baselines(truth: Truth, forecasts: Sequence[ForecastFile]) -> tuple[list[str], list[str]]:
    """The usual baselines that a dataset allows, and in words why not the others."""
    ensembles = any(forecast.members > 1 for forecast in forecasts)
    inits = np.concatenate([forecast.init_times for forecast in forecasts])
    allowed, skipped = [], []
    for name in (*USUAL, *(USUAL_OF_ENSEMBLES if ensembles else ())):
        try:
            available = BASELINES[name]().build(truth).available(inits)
        except BadDataError as error:
            skipped.append(f"{error}; left out")
        else:
            if name in USUAL or available.all():
                allowed.append(name)
            else:  # nobody asked for it, so it may not cost a case
                skipped.append(f"{name}: not to be had for {int((~available).sum())} initial times; left out")
    return allowed, skipped


def build_baselines(
    baselines: Sequence[BaselineConfig | Settings | str], truth: Truth, taken: Sequence[str]
) -> list[Baseline]:
    """The baselines of a dataset; none may have a forecast's name.

    Raises:
        BadDataError: a name is taken, or the dataset lacks what a baseline needs.
    """
    configs = [parse_member(BASELINES, baseline, at="baseline") for baseline in baselines]
    names = [*taken, *(config.kind for config in configs)]
    for name in names:
        if names.count(name) > 1:
            raise BadDataError(f"{name}: two forecasts or baselines have this name; rename the file or leave one out")
    return [config.build(truth) for config in configs]


def score_cases(
    readers: Sequence[Reader],
    truth: Truth,
    cases: Cases,
    cards: Cards,
    *,
    spotlight: Spotlight,
    progress: Progress | None,
) -> Tally:
    """Sums over all cases, one case in memory at a time."""
    blocks = block_of(cases.init_times, BLOCK_HOURS)
    tally = Tally(blocks=int(blocks.max()) + 1)
    frames = RollingFrames(truth, cases.variables)
    rows = torch.from_numpy(truth.grid.row_weights)
    for index, init_time in enumerate(_watched(cases.init_times, progress)):
        fields = frames.read(init_time + cases.lead_times)
        spotlight.see(init_time, fields)
        case = score_case(readers, fields, init_time, cases.lead_times, cards=cards, rows=rows)
        tally.add(int(blocks[index]), case)
    return tally


def _watched(init_times: Iterable[np.datetime64], progress: Progress | None) -> Iterator[np.datetime64]:
    times = list(init_times)
    if progress is None:
        yield from tqdm(times, desc="evaluate", unit="case", disable=None)
        return
    for done, time in enumerate(times, start=1):
        yield time
        progress(done, len(times))


def _metadata(
    truth: Truth,
    cases: Cases,
    forecasts: Sequence[ForecastFile],
    baselines: Sequence[Baseline],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    readers: list[Reader] = [*forecasts, *baselines]
    return {
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "truth": str(truth.path),
        "title": truth.title,
        "forecast_files": [str(forecast.path) for forecast in forecasts],
        "baselines": [baseline.name for baseline in baselines],
        "members": {reader.name: reader.members for reader in readers},
        "units": {name: truth.variables[name].units for name in cases.variables},
        "first_init": f"{cases.init_times[0]}Z",
        "last_init": f"{cases.init_times[-1]}Z",
        "init_times": len(cases.init_times),
        "grid": list(truth.grid.shape),
        "spacing_km": truth.grid.spacing_km,
        "interval": {"low": 0.05, "high": 0.95, "block_hours": BLOCK_HOURS, "resamples": resamples, "seed": seed},
        "notes": list(cases.notes),
    }
