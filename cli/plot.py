"""`wml plot`: a forecast becomes a picture or an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.defaults import forecast_path


def plot(
    forecast: Annotated[Path | None, typer.Argument(help="A forecast, ours or another's; the newest if none.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="End it in .png, .svg, .pdf, .gif or .mp4. [default: NAME.png]")
    ] = None,
    variable: Annotated[str | None, typer.Option(help="[default: refc where there is some]")] = None,
    init: Annotated[str | None, typer.Option(help="Initial time, ISO 8601 UTC. [default: the first]")] = None,
    lead: Annotated[float | None, typer.Option(help="Hours ahead, of a picture. [default: the last]")] = None,
    show: Annotated[str, typer.Option(help="field, mean, spread or probability.")] = "field",
    member: Annotated[int, typer.Option(help="Whose field, from 0 on.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(help="Of a probability, in the variable's units. [default: one of its own]")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Dataset to draw beside it.")] = None,
    states: Annotated[Path | None, typer.Option(help="GeoJSON lines to draw on the maps.")] = None,
) -> None:
    """Draw a forecast: one lead as a picture, all of them as an animation."""
    from weatherml.errors import UsageError
    from weatherml.sources.base import utc
    from weatherml.verify.plot import MOVING, SHOWN, View, draw, read_scenes
    from weatherml.verify.report.lines import read_lines

    if show not in SHOWN:
        raise UsageError(f"--show {show}: not known; choose {', '.join(SHOWN)}")
    path = forecast or forecast_path()
    target = output or Path(f"{path.stem}.png")
    view = View(
        variable=variable,
        init_time=None if init is None else utc(init, "--init"),
        lead_hours=lead,
        shown=show,
        member=member,
        threshold=threshold,
    )
    scenes = read_scenes(path, view, truth=truth, animated=target.suffix in MOVING)
    draw(scenes, target, lines=read_lines(states, scenes.grid) if states else ())
    print(f"picture: {target}")
