"""Units, durations and axes of files written by others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weatherml.errors import BadDataError
from weatherml.verify.files.reading import grid_difference, lead_hours, open_file, plain_units, read_grid
from weatherml.verify.files.truth import RollingFrames, open_truth


@pytest.mark.parametrize("units", ["m s-1", "m/s", "m s**-1", "m s^-1", " m / s "])
def test_units_in_one_spelling(units: str) -> None:
    assert plain_units(units) == "m s-1"


@pytest.mark.parametrize(
    ("values", "units"),
    [([1.0, 2.0], None), ([1, 2], "hours"), ([60, 120], "minutes"), ([3600, 7200], "s"), ([1 / 24, 2 / 24], "days")],
)
def test_lead_hours(values: list[float], units: str | None) -> None:
    np.testing.assert_allclose(lead_hours(np.array(values), units), [1, 2])


def test_lead_hours_of_durations_and_of_nonsense() -> None:
    np.testing.assert_allclose(lead_hours(np.array([90], dtype="timedelta64[m]"), None), [1.5])
    with pytest.raises(BadDataError, match="furlongs"):
        lead_hours(np.array([1]), "furlongs")


def test_mapping_counts_where_both_say_it(truth_path: Path) -> None:
    dataset = open_file(truth_path)
    grid = read_grid(dataset, truth_path)
    assert grid.mapping["standard_parallel"] == [38.5, 38.5]
    other = dataset.copy()
    other["projection"] = ((), 0, {**grid.mapping, "longitude_of_central_meridian": -95.0})
    assert grid_difference(grid, dataset, truth_path) == ""
    assert grid_difference(grid, other, truth_path) == "another projection"
    assert grid_difference(grid, dataset.drop_vars(["y", "x", "projection"]), truth_path) == ""  # says nothing


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_text("nothing")
    with pytest.raises(BadDataError, match="cannot be opened"):
        open_file(tmp_path / "a.nc")


def test_frames_are_read_once(truth_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = open_truth(truth_path)
    read: list[int] = []
    original = type(truth).read

    def spy(self: object, times: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        read.append(len(times))
        return original(truth, times, names)

    monkeypatch.setattr(type(truth), "read", spy)
    frames = RollingFrames(truth, ["t2m"])
    first = frames.read(truth.times[0:4])
    second = frames.read(truth.times[2:6])
    assert read == [4, 2]
    np.testing.assert_array_equal(second["t2m"][:2], first["t2m"][2:])
