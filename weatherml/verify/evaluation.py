"""Evaluate: open, match, score block after block, finish, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weatherml.places import EVALUATION, fresh
from weatherml.progress import Progress, silent
from weatherml.signals import stop_request
from weatherml.verify.example import read_gallery
from weatherml.verify.files.forecasts import ForecastFile
from weatherml.verify.report import render
from weatherml.verify.report.lines import read_lines
from weatherml.verify.scores.bootstrap import BLOCK_HOURS, HIGH, LOW, blocks_of
from weatherml.verify.scores.finish import finish
from weatherml.verify.scores.output import claim_output, write_output
from weatherml.verify.scores.scores import Headline, headlines
from weatherml.verify.scoring.inputs import GivenBaseline, Inputs, Request, open_inputs, read_baseline
from weatherml.verify.scoring.resume import PartFolder, fingerprint
from weatherml.verify.scoring.running import score_blocks


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was written, and what a command line prints of it.

    Attributes:
        report: path of report.html.
        scores: path of scores.json; scores.nc lies beside it.
        headlines: RMSE beside the references' at a few leads.
        members: M by forecast and baseline.
        blocks: of initial times, behind the intervals.
        notes: in words, what was left out.
    """

    report: Path
    scores: Path
    headlines: list[Headline]
    members: dict[str, int]
    blocks: int
    notes: tuple[str, ...]


def evaluate(
    forecasts: Sequence[Path],
    truth: Path,
    *,
    baselines: Sequence[GivenBaseline] | None = None,
    regions: Sequence[str] = (),
    output: Path,
    overwrite: bool = False,
    states: Path | None = None,
    resamples: int = 200,
    seed: int = 0,
    progress: Progress = silent,
    dask: str | None = None,
) -> Evaluation:
    """Score forecast files and baselines on their common cases; write scores.json, scores.nc and report.html.

    Blocks of a day are kept beside the output as they are done: an evaluation that was stopped or killed goes on
    there when it is asked for again.

    Args:
        forecasts: zarr stores or NetCDF files with (init_time, lead_time[, member], y, x).
        truth: the dataset store.
        baselines: names, settings or configurations of baselines, or paths of forecasts that serve as such; None
            takes the usual ones that this dataset allows, and for ensembles the climatological ensemble.
        regions: parts of the grid to score apart: `land`, `sea` or `NAME=south,north,west,east` in degrees.
        output: the folder to write.
        overwrite: replace the scores that stand there.
        states: a GeoJSON file of lines in longitude and latitude for the maps.
        resamples: bootstrap resamples behind the intervals.
        seed: of the bootstrap.
        progress: called with (cases done, cases in all).
        dask: address of a dask scheduler whose workers score; None scores here.

    Raises:
        UsageError: a region that cannot be read.
        MissingInputError: a file is not there.
        BadDataError: files that are broken, do not match, or have no case in common.
        OutputError: `output` holds scores, or cannot be written.
        StoppedError: a signal came; the same call goes on.
    """
    request = Request(
        truth=truth,
        forecasts=tuple(forecasts),
        baselines=None if baselines is None else tuple(read_baseline(baseline) for baseline in baselines),
        regions=tuple(regions),
    )
    with claim_output(output, overwrite=overwrite), stop_request() as stop:
        inputs = open_inputs(request)
        lines = read_lines(states, inputs.truth.grid) if states else []
        folder = PartFolder(output, fingerprint(request, inputs))
        blocks = blocks_of(inputs.cases.init_times)
        parts = score_blocks(inputs, request, blocks, folder, stop=stop, progress=progress, dask=dask)
        metadata = describe(inputs, request, blocks=len(blocks), resamples=resamples, seed=seed)
        scores = finish(inputs, parts, resamples=resamples, seed=seed, metadata=metadata)
        gallery = read_gallery(inputs.forecasts, inputs.baselines, inputs.truth, scores)
        write_output(output, scores, render(scores, gallery, inputs.truth, lines), parts=folder.path)
    return Evaluation(
        report=output / "report.html",
        scores=output / "scores.json",
        headlines=headlines(scores),
        members=metadata["members"],
        blocks=len(blocks),
        notes=scores.cases.notes,
    )


def new_output(forecast: Path) -> Path:
    """The folder of a forecast's scores where none is named; one that was begun and not finished goes on there."""
    return fresh(EVALUATION, forecast.stem, "/scores.json").parent


def describe(inputs: Inputs, request: Request, *, blocks: int, resamples: int, seed: int) -> dict[str, Any]:
    """The metadata of scores.json."""
    truth, cases = inputs.truth, inputs.cases
    files = [each for each in inputs.baselines if isinstance(each, ForecastFile)]
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "truth": str(truth.path),
        "title": truth.title,
        "forecast_files": [str(forecast.path) for forecast in inputs.forecasts],
        "baselines": [baseline.name for baseline in inputs.baselines],
        "baseline_files": [str(file.path) for file in files],
        "regions": list(request.regions),
        "members": {reader.name: reader.members for reader in inputs.readers},
        "units": {name: truth.variables[name].units for name in cases.variables},
        "first_init": f"{cases.init_times[0]}Z",
        "last_init": f"{cases.init_times[-1]}Z",
        "init_times": len(cases.init_times),
        "grid": list(truth.grid.shape),
        "spacing_km": truth.grid.spacing_km,
        "interval": {
            "low": LOW,
            "high": HIGH,
            "block_hours": BLOCK_HOURS,
            "blocks": blocks,
            "resamples": resamples,
            "seed": seed,
        },
    }
