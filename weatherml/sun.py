"""The sun's height, as three coefficients a time and three fields a grid.

The cosine of the solar zenith angle separates: sin(lat) sin(d) + cos(lat) cos(d) cos(h + lon), with the
declination d and the hour angle at Greenwich h (Spencer 1971, Fourier series for both). So a field is
`coefficients(times) @ basis(latitude, longitude)`, on any device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def day_and_hour(times: Array) -> tuple[Array, Array]:
    """Day of the year as a fraction [0, 1) and hour of the day as a fraction [0, 1) of UTC datetime64 times."""
    seconds = times.astype("datetime64[s]")
    year = seconds.astype("datetime64[Y]")
    length = ((year + 1).astype("datetime64[s]") - year.astype("datetime64[s]")).astype(np.float64)
    day = (seconds - year.astype("datetime64[s]")).astype(np.float64) / length
    hour = (seconds - seconds.astype("datetime64[D]").astype("datetime64[s]")).astype(np.float64) / 86400.0
    return day, hour


def coefficients(times: Array) -> Array:
    """(N, 3) float64 for N UTC datetime64 times; multiply with `basis`."""
    day, hour = day_and_hour(times)
    g = 2 * np.pi * day
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    equation_of_time = (
        0.0000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.040849 * np.sin(2 * g)
    )  # radians of hour angle
    h = 2 * np.pi * hour - np.pi + equation_of_time
    cos_d = np.cos(declination)
    return np.stack([np.sin(declination), cos_d * np.cos(h), -cos_d * np.sin(h)], axis=-1)


def equinox_coefficients(times: Array) -> Array:
    """The same of the mean sun at an equinox, whatever the day: its height by latitude and local solar time alone."""
    h = 2 * np.pi * day_and_hour(times)[1] - np.pi
    return np.stack([np.zeros_like(h), np.cos(h), -np.sin(h)], axis=-1)


def basis(latitude: Array, longitude: Array) -> Array:
    """(3, H, W) float64 for latitudes and longitudes in degrees."""
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.sin(phi), np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam)])


def cos_zenith(times: Array, latitude: Array, longitude: Array) -> Array:
    """(N, H, W): the cosine of the solar zenith angle; negative at night."""
    return np.asarray(np.tensordot(coefficients(times), basis(latitude, longitude), axes=1))
