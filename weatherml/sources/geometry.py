"""What a projection does to distances and directions, point by point."""

from __future__ import annotations

import numpy as np

from weatherml.grid import Grid
from weatherml.sources.source import Static

PROJECTION_FIELDS = {
    "map_factor": {
        "long_name": "distance on the grid over distance on the Earth",
        "units": "1",
        "comment": "geometric mean over all directions; the same in each where the projection is conformal",
    },
    "wind_rotation_angle": {
        "long_name": "angle from true north to the grid's y axis, positive clockwise",
        "units": "degree",
        "comment": "with a = wind_rotation_angle and grid-relative u, v: "
        "eastward = u cos a + v sin a, northward = v cos a - u sin a",
    },
}
"""Auxiliary coordinates like latitude and longitude, with their attributes.

The sign is that of NOAA's formula for HRRR, sin(38.5 degrees) (longitude + 97.5 degrees): positive in the east.
"""


def projection_fields(grid: Grid) -> dict[str, Static]:
    """`PROJECTION_FIELDS` of a projected grid, each (H, W) float32; none where the projection is unknown."""
    if grid.kind != "projected" or grid.latlon is None:
        return {}
    import pyproj  # noqa: PLC0415 - slow to import

    latitude, longitude = grid.latlon
    factors = pyproj.Proj(grid.crs).get_factors(longitude, latitude)
    values = {"map_factor": np.sqrt(factors.areal_scale), "wind_rotation_angle": factors.meridian_convergence}
    return {
        name: Static(values=np.asarray(values[name], np.float32), attributes=attributes)
        for name, attributes in PROJECTION_FIELDS.items()
    }
