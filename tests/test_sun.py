"""The sun's height against an independent formula and known moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.sun import basis, coefficients, cos_zenith, day_and_hour, equinox_coefficients


def noaa(time: np.datetime64, latitude: float, longitude: float) -> float:
    """Cosine of the zenith angle by Meeus' low-precision position, as in NOAA's calculator (no refraction)."""
    days = (time - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "s") / 86400
    c = days / 36525  # Julian centuries
    mean_longitude = 280.46646 + c * (36000.76983 + c * 0.0003032)
    anomaly = np.deg2rad(357.52911 + c * (35999.05029 - 0.0001537 * c))
    centre = (1.914602 - c * 0.004817) * np.sin(anomaly) + 0.019993 * np.sin(2 * anomaly)
    omega = np.deg2rad(125.04 - 1934.136 * c)
    true_longitude = np.deg2rad(mean_longitude + centre - 0.00569 - 0.00478 * np.sin(omega))
    obliquity = np.deg2rad(23.439291 - 0.0130042 * c + 0.00256 * np.cos(omega))
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(true_longitude), np.cos(true_longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(true_longitude))
    sidereal = np.deg2rad(280.46061837 + 360.98564736629 * days + longitude)
    phi = np.deg2rad(latitude)
    h = sidereal - right_ascension
    return float(np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(h))


@given(st.integers(0, 20 * 8766), st.floats(-90, 90), st.floats(-180, 180))
def test_against_an_independent_formula(hours: int, latitude: float, longitude: float) -> None:
    time = np.datetime64("2010-01-01T00:00:00") + np.timedelta64(hours, "h")
    ours = cos_zenith(np.array([time]), np.array([[latitude]]), np.array([[longitude]]))
    assert ours.shape == (1, 1, 1)
    assert ours.item() == pytest.approx(noaa(time, latitude, longitude), abs=0.012)  # 0.7 degrees


def test_known_moments() -> None:
    at = np.array([[0.0]])
    equinox = np.array(["2024-03-20T12:07", "2024-03-20T00:07"], "datetime64[s]")  # the sun is 7 minutes late
    assert cos_zenith(equinox, at, at).ravel() == pytest.approx([1, -1], abs=1e-4)
    # solstice at 23.44 N in the zenith at noon; in Denver (39.74 N) 39.74 - 23.44 = 16.3 degrees off it
    solstice = np.array(["2024-06-20T19:02"], "datetime64[s]")  # 12 h - (-104.99 / 15) h + 1.8 min
    denver = cos_zenith(solstice, np.array([[39.74]]), np.array([[-104.99]])).item()
    assert denver == pytest.approx(np.cos(np.deg2rad(16.3)), abs=1e-3)
    # polar night and midnight sun
    whole_day = np.datetime64("2024-12-21T00:00:00") + np.arange(24) * np.timedelta64(1, "h")
    assert (cos_zenith(whole_day, np.array([[80.0]]), at) < 0).all()
    assert (cos_zenith(whole_day, np.array([[-80.0]]), at) > 0).all()


def test_at_an_equinox_the_day_does_not_matter() -> None:
    """Local noon and midnight at 40 degrees of latitude, on any day: 40 degrees off the zenith, and below."""
    times = np.array(["2024-06-20T18:00", "2024-12-21T06:00"], "datetime64[s]")
    at = basis(np.array([[40.0]]), np.array([[-90.0]]))  # six hours behind Greenwich
    heights = np.tensordot(equinox_coefficients(times), at, axes=1).ravel()
    assert heights == pytest.approx([np.cos(np.deg2rad(40)), -np.cos(np.deg2rad(40))])
    equinox = np.datetime64("2024-03-20T00:00:00") + np.arange(24) * np.timedelta64(1, "h")
    true = np.tensordot(coefficients(equinox), at, axes=1)
    assert np.tensordot(equinox_coefficients(equinox), at, axes=1) == pytest.approx(true, abs=0.04)


def test_the_field_is_the_product_of_its_two_parts() -> None:
    times = np.datetime64("2024-05-01T00:00:00") + np.arange(5) * np.timedelta64(7, "h")
    latitude, longitude = np.meshgrid(np.linspace(-60, 60, 4), np.linspace(-180, 180, 3), indexing="ij")
    whole = cos_zenith(times, latitude, longitude)
    assert whole.shape == (5, 4, 3)
    assert np.abs(whole).max() <= 1
    assert np.allclose(whole, np.einsum("nk,khw->nhw", coefficients(times), basis(latitude, longitude)))
    assert np.allclose(whole[..., 0], whole[..., -1])  # 180 W is 180 E


def test_fractions_of_the_year_and_the_day() -> None:
    times = np.array(["2024-01-01T00", "2024-07-02T06", "2023-12-31T18"], "datetime64[h]")
    day, hour = day_and_hour(times)
    # 2024 has 366 days and 2 July is number 183; 31 December 2023 is number 364 of 365
    assert day == pytest.approx([0, 183.25 / 366, 364.75 / 365])
    assert hour == pytest.approx([0, 0.25, 0.75])
