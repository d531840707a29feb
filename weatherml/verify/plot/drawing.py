"""Maps drawn by matplotlib: north up, coasts and degrees, a picture or an animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weatherml.errors import UsageError
from weatherml.files import output_lock, replacing
from weatherml.grid import Grid
from weatherml.verify.colors import Scale, field_scale
from weatherml.verify.plot.scenes import Scenes
from weatherml.verify.report.lines import Line, coast_lines
from weatherml.verify.report.maps import cell_height

Array = npt.NDArray[Any]
MOVING = (".gif", ".mp4")
CELLS = 1200
"""The longest side of a drawn field; a larger one is thinned."""
FRAMES_A_SECOND = 4


def draw(scenes: Scenes, output: Path, *, lines: Sequence[Line] = ()) -> None:
    """Write a picture (of the last field), or an animation of all of them; the ending of `output` decides.

    Args:
        scenes: what is drawn.
        output: `.png`, `.svg`, `.pdf`, `.gif`, or `.mp4` where ffmpeg is installed.
        lines: over the maps, beside the coast.

    Raises:
        UsageError: another ending, or no ffmpeg.
        OutputError: it cannot be written there.
    """
    figure = Figure(figsize=_size(scenes), dpi=120, layout="constrained")
    kinds = [*figure.canvas.get_supported_filetypes(), *(ending.removeprefix(".") for ending in MOVING)]
    kind = output.suffix.removeprefix(".")
    if kind not in kinds:
        raise UsageError(f"{output}: no kind of picture; end it in .png, .svg, .pdf, .gif or .mp4")
    if kind == "mp4" and not FFMpegWriter.isAvailable():
        raise UsageError(f"{output}: ffmpeg is not installed; write a .gif")
    images = _panels(figure, scenes, [*coast_lines(scenes.land), *lines])
    with output_lock(output), replacing(output) as file:
        if output.suffix in MOVING:
            _animate(figure, images, scenes, file, kind)
        else:
            _show(figure, images, scenes, len(scenes.fields) - 1)
            figure.savefig(file, format=kind)


def _size(scenes: Scenes) -> tuple[float, float]:
    """Inches: maps 6 wide, in their own shape."""
    H, W = scenes.grid.shape
    panels = 1 if scenes.truth is None else 2
    return 6.0 * panels, min(9.0, max(3.2, 6.0 * H * cell_height(scenes.grid) / W)) + 0.7


def _panels(figure: Figure, scenes: Scenes, lines: Sequence[Line]) -> list[tuple[Any, Array]]:
    """An empty image for the forecast, and one for the truth, each with the fields that it will show."""
    scale = scenes.view.scale(scenes.variable, scenes.fields)
    named = [(scenes.name, scenes.fields)] + ([] if scenes.truth is None else [("truth", scenes.truth)])
    whole = scenes.view.shown in ("field", "mean")
    images = []
    axes = figure.subplots(1, len(named), squeeze=False)[0]
    for ax, (name, fields) in zip(axes, named, strict=True):
        own = scale if whole or name != "truth" else field_scale(scenes.variable, fields)
        image = _map(ax, scenes.grid, own, lines)
        ax.set_title(name, fontsize="medium")
        images.append((image, fields))
        if name != "truth" or not whole:
            label = scenes.view.title(scenes.variable) if name != "truth" else scenes.variable.label
            bar = figure.colorbar(image, ax=axes if whole else ax, orientation="horizontal", shrink=0.8, pad=0.02)
            bar.set_label(label)
            bar.set_ticks(own.ticks)
    return images


def _map(ax: Any, grid: Grid, scale: Scale, lines: Sequence[Line]) -> Any:
    """Axes in cells of the grid, north up, with coast and degrees."""
    H, W = grid.shape
    ax.set_facecolor("0.93")
    image = ax.imshow(
        np.full((1, 1), np.nan), cmap=scale.colormap, norm=scale.norm, origin="lower", interpolation="nearest",
        extent=(-0.5, W - 0.5, -0.5, H - 0.5), aspect=cell_height(grid),
    )  # fmt: skip
    for line in lines:
        ax.plot(*line.T, color="0.15", linewidth=0.6)
    if grid.latlon is not None and min(H, W) > 2:
        _degrees(ax, grid.latlon)
    ax.set(xlim=(-0.5, W - 0.5), ylim=(-0.5, H - 0.5), xticks=[], yticks=[])
    if grid.y[-1] < grid.y[0]:
        ax.invert_yaxis()
    if grid.x[-1] < grid.x[0]:
        ax.invert_xaxis()
    return image


def _degrees(ax: Any, latlon: tuple[Array, Array]) -> None:
    """Thin lines of latitude and longitude, with their degrees."""
    thin = max(1, max(latlon[0].shape) // 200)
    H, W = latlon[0].shape
    columns, rows = np.arange(W)[::thin], np.arange(H)[::thin]
    for values in latlon:
        levels = MaxNLocator(nbins=5).tick_values(values.min(), values.max())
        contour = ax.contour(columns, rows, values[::thin, ::thin], levels, colors="0.4", linewidths=0.4, alpha=0.6)
        ax.clabel(contour, fontsize=6, fmt=lambda degrees: f"{degrees:g}°")


def _show(figure: Figure, images: Sequence[tuple[Any, Array]], scenes: Scenes, index: int) -> list[Any]:
    """Put the fields of one lead into the images."""
    stride = -(-max(scenes.grid.shape) // CELLS)
    for image, fields in images:
        image.set_data(np.ma.masked_invalid(fields[index, ::stride, ::stride]))
    minutes = round(60 * scenes.lead_hours[index])
    lead = f"+{minutes} min" if minutes % 60 else f"+{minutes // 60} h"
    start = scenes.init_time.astype("datetime64[m]")
    figure.suptitle(f"{scenes.valid_time(index)}Z   {lead} from {start}Z", fontsize="medium")
    return [image for image, _ in images]


def _animate(figure: Figure, images: list[tuple[Any, Array]], scenes: Scenes, file: Path, kind: str) -> None:
    def step(index: int) -> list[Any]:
        return _show(figure, images, scenes, index)

    film = FuncAnimation(figure, step, frames=len(scenes.fields), blit=False)
    writer = (FFMpegWriter if kind == "mp4" else PillowWriter)(fps=FRAMES_A_SECOND)
    named = file.with_suffix(f".{kind}")  # the writers go by the ending
    film.save(named, writer=writer)
    named.replace(file)
