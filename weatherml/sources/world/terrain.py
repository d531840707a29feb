"""The ground of the synthetic world: a piece of the HRRR grid with a coast, a ridge and hills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.grid import Grid
from weatherml.sources.world.noise import correlated
from weatherml.sun import basis

Array = npt.NDArray[Any]

SPACING = 3000.0
FULL_SHAPE = (1059, 1799)
SOUTHWEST = (-1587306.1525566636, -2697520.142521932)  # y, x of 21.138123 N 122.719528 W, in metres
CENTRE = (334, 1415)  # row, column at the coast of Georgia, 32.0 N 81.1 W
MAPPING = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [38.5, 38.5],
    "latitude_of_projection_origin": 38.5,
    "longitude_of_central_meridian": -97.5,
    "earth_radius": 6371229.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the law knows of a place; fields are (H, W) float32 unless said otherwise.

    Attributes:
        orography: height above the sea, m.
        land: 1 on land, 0 on water.
        land_share: `land` smoothed over 1.5 cells: the law has no step at the coast.
        relief: height above the mean of 31 x 31 cells around, m.
        slope_y: rise of the orography towards growing rows, m per m.
        slope_x: rise towards growing columns, m per m.
        sun: (3, H, W), the basis of the solar zenith angle (`weatherml.sun`).
    """

    orography: Array
    land: Array
    land_share: Array
    relief: Array
    slope_y: Array
    slope_x: Array
    sun: Array


def hrrr_crop(height: int, width: int) -> Grid:
    """The height x width piece of HRRR's grid round `CENTRE`, moved where it would stick out."""
    first = [
        min(max(centre - size // 2, 0), full - size)
        for centre, size, full in zip(CENTRE, (height, width), FULL_SHAPE, strict=True)
    ]
    y, x = (
        corner + SPACING * np.arange(start, start + size)
        for corner, start, size in zip(SOUTHWEST, first, (height, width), strict=True)
    )
    return Grid(kind="projected", y=y, x=x, mapping=dict(MAPPING))


def ground(grid: Grid, seed: int) -> Ground:
    """Draw the ground of `grid`: the sea lies in the south-east, a ridge runs along the coast inland.

    Coast and ridge keep their place relative to the area; hills keep their size in cells.
    """
    from scipy.ndimage import gaussian_filter, uniform_filter  # noqa: PLC0415 - slow to import

    hills, roughness, wiggle = correlated(
        np.random.default_rng([seed, 1]), grid.shape, (((5.0, 1.0),), ((2.0, 1.0),), ((8.0, 1.0),))
    )
    inland = _distance_inland(grid.shape) + 0.04 * wiggle
    land = (inland > 0).astype(np.float32)
    rise = np.clip(inland / 0.25, 0, 1)
    ridge = 800 * np.exp(-(((inland - 0.4) / 0.1) ** 2)) * (1 + 0.3 * hills)
    orography = gaussian_filter(land * rise * np.maximum(200 + ridge + 180 * hills + 90 * roughness, 5), 0.7) * land
    slope_y, slope_x = np.gradient(orography, SPACING)
    assert grid.latlon is not None
    fields = {
        "orography": orography,
        "land": land,
        "land_share": gaussian_filter(land, 1.5),
        "relief": orography - uniform_filter(orography, size=31, mode="mirror"),
        "slope_y": slope_y,
        "slope_x": slope_x,
        "sun": basis(*grid.latlon),
    }
    return Ground(**{name: np.asarray(field, dtype=np.float32) for name, field in fields.items()})


def _distance_inland(shape: tuple[int, int]) -> Array:
    """(H, W), the distance from a straight coast, in sides of the area; negative at sea."""
    y, x = np.meshgrid(*(np.linspace(0, 1, size) for size in shape), indexing="ij")
    return np.asarray(0.6 * (y - 0.5) - 0.8 * (x - 0.5) + 0.2)
