"""`wml evaluate`: forecasts become scores and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.defaults import dataset_path, forecast_path
from cli.display import bar, say
from cli.options import Overwrite

if TYPE_CHECKING:
    from weatherml.verify import Evaluation, Headline
    from weatherml.verify.sequences.evaluation import SequenceEvaluation
    from weatherml.verify.sequences.page import Table as ScoreTable


def evaluate(
    forecasts: Annotated[
        list[Path] | None, typer.Argument(help="Forecasts, of this tool or not; the newest if none is named.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Dataset to score against; the newest if none is named.")
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            help="persistence, climatology, climatological-ensemble, oracle, ... (`wml list baselines`), or the path "
            "of a forecast, such as the operational one; repeats (default: persistence, climatology, and of ensembles "
            "climatological-ensemble).",
        ),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region", help="Score a part apart: land, sea or NAME=south,north,west,east in degrees; repeats."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder for the scores and the report (default: a new one in evaluation/)."),
    ] = None,
    states: Annotated[
        Path | None, typer.Option(help="GeoJSON lines to draw on the maps, for example state lines.")
    ] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a dask scheduler whose workers score instead.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts, or predictions of sequences, in physical units, beside baselines on the same cases."""
    from weatherml.data.stores import holds_sequences
    from weatherml.verify.evaluation import evaluate, new_output

    chosen, data = forecasts or [forecast_path()], dataset_path(truth)
    where: dict[str, Any] = {"output": output or new_output(chosen[0]), "states": states, "overwrite": overwrite}
    result: Evaluation | SequenceEvaluation
    if holds_sequences(data):
        refused = {"--baseline": baselines, "--region": regions, "--dask": dask}
        result = score_predictions(chosen, data, refused, where)
    else:
        with bar("evaluate") as progress:
            where |= {"baselines": baselines, "regions": regions or (), "dask": dask}
            result = evaluate(chosen, data, progress=progress, **where)
        print_headlines(result)
    for note in result.notes:
        say(f"note: {note}")
    print(f"scores: {result.scores}")
    print(f"report: {result.report}")


def score_predictions(
    paths: list[Path], truth: Path, refused: dict[str, Any], where: dict[str, Any]
) -> SequenceEvaluation:
    """Score predictions of sequences, whose baseline is given by their task, and print the scores."""
    from weatherml.errors import UsageError
    from weatherml.verify.sequences.evaluation import evaluate_predictions

    for option, given in refused.items():
        if given:
            value = given if isinstance(given, str) else given[0]
            raise UsageError(f"{option} {value}: is for forecasts, and this dataset is of sequences; leave it out")
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


def print_headlines(result: Evaluation) -> None:
    """A table of RMSE, of ensembles CRPS beside it, and how it stands against each reference at a few leads."""
    from rich.console import Console
    from rich.table import Table

    ensembles = any(result.members[each.forecast] > 1 for each in result.headlines)
    others = {each.forecast for each in result.headlines} if result.headlines[0].others else set()
    references = [*result.headlines[0].baselines, *sorted(others)]
    numbers = ["rmse", *(["crps"] if ensembles else []), *references]
    caption = f"*: more than chance; the 95 % interval over blocks of a day ({result.blocks} of them) leaves out 0"
    table = Table(box=None, title="RMSE, and how much lower than the references'", title_justify="left")
    for column in ("forecast", "variable", "lead", *numbers):
        table.add_column(column, justify="left" if column in ("forecast", "variable") else "right", overflow="fold")
    for each in result.headlines:
        scores = [f"{each.rmse:.3g} {each.units}", *([f"{each.crps:.3g}"] if ensembles else [])]
        gains = (gain(each, name) for name in references)
        table.add_row(each.forecast, each.variable, f"{each.lead_hours:g} h", *scores, *gains)
    table.caption, table.caption_justify = caption if references else None, "left"
    Console(stderr=True).print(table)


def gain(headline: Headline, reference: str) -> str:
    """By how much a forecast's RMSE is lower than a reference's, with a star where that is more than chance."""
    percent = headline.gain(reference)
    if percent != percent:  # noqa: PLR0124 - NaN: it is not scored there, or the forecast itself
        return ""
    return f"{percent:+.0f} %{'*' if reference in headline.significant else ' '}"
