"""`wml evaluate`: forecasts become scores and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.defaults import EVALUATION, dataset_path, forecast_path, fresh
from cli.display import bar, say
from cli.options import Overwrite

if TYPE_CHECKING:
    from weatherml.verify import Headline


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
    """Score forecasts by lead time, in physical units, beside baselines on the same cases."""
    from weatherml.verify import evaluate

    chosen = forecasts or [forecast_path()]
    with bar("evaluate") as progress:
        result = evaluate(
            chosen,
            dataset_path(truth),
            baselines=baselines,
            output=output or fresh(EVALUATION, chosen[0].stem),
            overwrite=overwrite,
            states=states,
            progress=progress,
        )
    for note in result.notes:
        say(f"note: {note}")
    print_headlines(result.headlines)
    print(f"scores: {result.scores}")
    print(f"report: {result.report}")


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
