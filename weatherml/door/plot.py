"""A forecast becomes a picture or an animation."""

from __future__ import annotations

from pathlib import Path

from weatherml.door.stores import Given, path_of
from weatherml.errors import UsageError
from weatherml.sources.base import utc
from weatherml.verify.plot import MOVING, SHOWN, View, draw, read_scenes
from weatherml.verify.report.lines import read_lines


def plot(
    forecast: Given,
    output: str | Path | None = None,
    *,
    variable: str | None = None,
    init: str | None = None,
    hours: float | None = None,
    show: str = "field",
    member: int = 0,
    threshold: float | None = None,
    truth: Given | None = None,
    states: str | Path | None = None,
) -> Path:
    """Draw a forecast, as `wml plot` does: one lead as a picture, all of them as an animation.

    Args:
        forecast: ours or another's.
        output: ends in .png, .svg, .pdf, .gif or .mp4; NAME.png where None.
        variable: reflectivity where there is some, else the first, where None.
        init: initial time, ISO 8601 UTC; the first where None.
        hours: ahead, of a picture; the last where None.
        show: `field`, `mean`, `spread` or `probability`.
        member: whose field, from 0 on.
        threshold: of a probability, in the variable's units.
        truth: a dataset to draw beside it.
        states: a GeoJSON file of lines in longitude and latitude.

    Returns:
        The picture's path.

    Raises:
        UsageError: a variable, lead, member or kind of picture that is not there.
        MissingInputError: no file, or no such initial time.
    """
    if show not in SHOWN:
        raise UsageError(f"--show {show}: not known; choose {', '.join(SHOWN)}")
    path = path_of(forecast)
    target = Path(output) if output is not None else Path(f"{path.stem}.png")
    view = View(
        variable=variable,
        init_time=None if init is None else utc(init, "--init"),
        lead_hours=hours,
        shown=show,
        member=member,
        threshold=threshold,
    )
    seen = None if truth is None else path_of(truth)
    scenes = read_scenes(path, view, truth=seen, animated=target.suffix in MOVING)
    draw(scenes, target, lines=read_lines(Path(states), scenes.grid) if states is not None else ())
    return target
