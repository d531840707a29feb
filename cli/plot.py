"""`wml plot`: a forecast becomes a picture or an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.defaults import forecast_path


def plot(
    forecast: Annotated[
        Path | None, typer.Argument(help="A forecast, of this tool or not; the newest if none is named.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write: .png, .svg, .pdf, .gif or .mp4 (default: NAME.png).")
    ] = None,
    variable: Annotated[str | None, typer.Option(help="Variable to draw (default: refc, or else the first).")] = None,
    init: Annotated[str | None, typer.Option(help="Initial time, ISO 8601 UTC (default: the first).")] = None,
    lead: Annotated[float | None, typer.Option(help="Lead time of a picture, in hours (default: the last).")] = None,
    show: Annotated[str, typer.Option(help="What to draw: field, mean, spread or probability.")] = "field",
    member: Annotated[int, typer.Option(help="Member whose field is drawn, counted from 0.")] = 0,
    threshold: Annotated[
        float | None,
        typer.Option(help="Threshold of a probability, in the variable's units (default: the middle one of its own)."),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Dataset whose fields are drawn beside it.")] = None,
    states: Annotated[Path | None, typer.Option(help="GeoJSON lines to draw on the maps.")] = None,
) -> None:
    """Draw a forecast: one lead as a picture, all of them as an animation."""
    from weatherml.door.plot import plot

    picture = plot(
        forecast or forecast_path(),
        output,
        variable=variable,
        init=init,
        hours=lead,
        show=show,
        member=member,
        threshold=threshold,
        truth=truth,
        states=states,
    )
    print(f"picture: {picture}")
