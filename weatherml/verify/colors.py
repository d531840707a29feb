"""Colours of fields: reflectivity in the National Weather Service's steps, the rest from matplotlib."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import numpy.typing as npt
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize, to_hex

from weatherml.errors import ConfigError
from weatherml.registry import suggest
from weatherml.variables import Variable

Array = npt.NDArray[Any]
REFLECTIVITY = "reflectivity"
NWS_DBZ = tuple(range(5, 80, 5))  # lower bounds; below the first there is no echo and no colour
NWS_COLORS = (
    "#04e9e7", "#019ff4", "#0300f4", "#02fd02", "#01c501", "#008e00", "#fdf802",
    "#e5bc00", "#fd9500", "#fd0000", "#d40000", "#bc0000", "#f800fd", "#9854c6", "#fdfdfd",
)  # fmt: skip
ERRORS = "RdBu_r"
SPREADS = "viridis"
BAR_STEPS = 48


@dataclass(frozen=True)
class Scale:
    """Values to colours, and the labels of its bar.

    Attributes:
        colormap: of matplotlib.
        norm: values to colours.
        ticks: values to label on the bar.
    """

    colormap: Colormap
    norm: Normalize
    ticks: tuple[float, ...]

    def rgba(self, values: Array) -> Array:
        """(..., 4) uint8; transparent where unknown."""
        colors: Array = self.colormap(self.norm(np.ma.masked_invalid(values)), bytes=True)
        return colors

    def coarser(self, levels: int) -> Scale:
        """The same scale in at most so many colours."""
        return self if levels >= self.colormap.N else replace(self, colormap=self.colormap.resampled(levels))

    @property
    def bar(self) -> list[str]:
        """The bar's colours from its lower end on, in equal steps."""
        if isinstance(self.norm, BoundaryNorm):
            return [to_hex(color) for color in NWS_COLORS]
        return [to_hex(self.colormap(share), keep_alpha=True) for share in np.linspace(0, 1, BAR_STEPS)]

    @property
    def labels(self) -> list[tuple[float, str]]:
        """(position in percent, text) of each tick."""
        low, high = float(self.norm.vmin or 0), float(self.norm.vmax or 0)
        return [(100 * (tick - low) / (high - low), f"{tick:g}") for tick in self.ticks]


def field_scale(variable: Variable, values: Array) -> Scale:
    """The scale of a variable's maps: fixed for reflectivity, else of the 1st to 99th percentile."""
    if variable.colormap == REFLECTIVITY:
        return reflectivity_scale()
    known = values[np.isfinite(values)]
    low, high = (float(part) for part in np.percentile(known, (1, 99))) if len(known) else (0.0, 1.0)
    if variable.component:  # a wind's white is calm
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return _linear(colormap_named(variable.colormap), low, high)


def error_scale(errors: Array) -> Scale:
    """The scale of forecast minus truth, symmetric."""
    known = np.abs(errors[np.isfinite(errors)])
    limit = float(np.percentile(known, 99)) if len(known) else 1.0
    return _linear(_error_colormap(), -limit, limit)


def spread_scale(spreads: Array) -> Scale:
    """The scale of an ensemble's spread, from 0 on."""
    known = spreads[np.isfinite(spreads)]
    return _linear(colormap_named(SPREADS), 0.0, float(np.percentile(known, 99)) if len(known) else 1.0)


def probability_scale() -> Scale:
    """The scale of probabilities, 0 to 1; what is below 2 % is clear."""
    colors = mpl.colormaps["YlOrRd"](np.linspace(0, 1, 256))
    colors[:5, 3] = 0
    return _linear(ListedColormap(colors), 0.0, 1.0)


def _error_colormap() -> Colormap:
    """A diverging colormap whose zero lets the page through, light or dark."""
    share = np.linspace(0, 1, 256)
    colors = mpl.colormaps[ERRORS](share)
    colors[:, 3] = np.abs(2 * share - 1) ** 0.5
    return ListedColormap(colors)


def reflectivity_scale() -> Scale:
    """The National Weather Service's colours in steps of 5 dBZ."""
    colormap = ListedColormap(NWS_COLORS).with_extremes(under=(0, 0, 0, 0), over=NWS_COLORS[-1], bad=(0, 0, 0, 0))
    norm = BoundaryNorm([*NWS_DBZ, NWS_DBZ[-1] + 5], len(NWS_COLORS))
    return Scale(colormap, norm, tuple(float(dbz) for dbz in NWS_DBZ[1::2]))


def colormap_named(name: str) -> Colormap:
    """A colormap of matplotlib.

    Raises:
        ConfigError: unknown, with the nearest known one.
    """
    if name not in mpl.colormaps:
        raise ConfigError(f"colormap {name}: unknown; {suggest(name, mpl.colormaps)}")
    return mpl.colormaps[name]


def _linear(colormap: Colormap, low: float, high: float) -> Scale:
    high = high if high > low else low + 1.0
    ticks = mpl.ticker.MaxNLocator(nbins=4).tick_values(low, high)
    inside = tuple(float(tick) for tick in ticks if low <= tick <= high)
    return Scale(colormap.with_extremes(bad=(0, 0, 0, 0)), Normalize(low, high), inside)
