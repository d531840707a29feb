"""`wml evaluate`: forecasts become scores and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.defaults import EVALUATION, dataset_path, forecast_path, fresh
from cli.display import bar, say
from cli.options import Overwrite

if TYPE_CHECKING:
    from weatherml.verify import Evaluation, Headline
    from weatherml.verify.sequences.evaluation import SequenceEvaluation
    from weatherml.verify.sequences.page import Table as ScoreTable


def evaluate(
    forecasts: Annotated[
        list[Path] | None, typer.Argument(help="Forecasts, ours or others'; the newest if none.")
    ] = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="Dataset to score against; the newest if none.")] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            help="persistence, climatology, climatological-ensemble, oracle, ... (`wml list baselines`); repeats.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder for scores.json and report.html.")] = None,
    states: Annotated[
        Path | None, typer.Option(help="GeoJSON lines to draw on the maps, for example state lines.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts, or predictions of sequences, in physical units, beside baselines on the same cases."""
    from weatherml.verify import evaluate

    chosen, data = forecasts or [forecast_path()], dataset_path(truth)
    where: dict[str, Any] = {"output": output or fresh(EVALUATION, chosen[0].stem), "overwrite": overwrite}
    result: Evaluation | SequenceEvaluation
    if holds_sequences(data):
        result = score_predictions(chosen, data, baselines, {**where, "states": states})
    else:
        with bar("evaluate") as progress:
            result = evaluate(chosen, data, baselines=baselines, states=states, progress=progress, **where)
        print_headlines(result.headlines)
    for note in result.notes:
        say(f"note: {note}")
    print(f"scores: {result.scores}")
    print(f"report: {result.report}")


def holds_sequences(path: Path) -> bool:
    """Whether a dataset is one of sequences; what is not there, or not a dataset, is for its reader to refuse."""
    from weatherml.data.sequences.store import KIND
    from weatherml.data.store import MARKER
    from weatherml.files import read_json

    return (path / MARKER).is_file() and read_json(path / MARKER).get("kind") == KIND


def score_predictions(
    paths: list[Path], truth: Path, baselines: list[str] | None, where: dict[str, Any]
) -> SequenceEvaluation:
    """Score predictions of sequences, whose baseline is given by their task, and print the scores."""
    from weatherml.errors import UsageError
    from weatherml.verify.sequences.evaluation import evaluate_predictions

    if baselines:
        raise UsageError(f"--baseline {baselines[0]}: is for forecasts; name another file of predictions instead")
    result = evaluate_predictions(paths, truth, **where)
    for table in result.tables:
        print_scores(table)
    return result


def print_scores(scores: ScoreTable) -> None:
    """A row a forecast, a column a metric."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, title=scores.title, title_justify="left")
    for column in ("forecast", *scores.columns):
        table.add_column(column, justify="left" if column == "forecast" else "right")
    for name, cells in scores.rows:
        table.add_row(name, *(value for value, _ in cells))
    Console(stderr=True).print(table)
    if scores.remark:
        say(scores.remark)


def print_headlines(headlines: list[Headline]) -> None:
    """A table of RMSE beside the baselines' at a few leads."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, title="RMSE, and how much lower than the baselines'", title_justify="left")
    baselines = list(headlines[0].baselines) if headlines else []
    for column in ("forecast", "variable", "lead", "rmse", *baselines):
        table.add_column(column, justify="left" if column in ("forecast", "variable") else "right")
    for each in headlines:
        gains = (f"{each.gain(name):+.0f} %" for name in baselines)
        rmse = f"{each.rmse:.3g} {each.units}"
        table.add_row(each.forecast, each.variable, f"{each.lead_hours:g} h", rmse, *gains)
    Console(stderr=True).print(table)
