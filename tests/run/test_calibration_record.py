"""The record of a fit in a run: it comes back as it was, and what is broken in it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weatherml.errors import BadDataError
from weatherml.files import write_json
from weatherml.run.calibration import FILE, Calibration

FIT = Calibration(
    temperature=(1.05, 0.98), sampler={"kind": "heun", "steps": 8}, before={"t2m": 0.91}, after={"t2m": 0.99}
)


@pytest.mark.parametrize("sampler", [None, {"kind": "heun", "steps": 8}])
def test_round_trip(tmp_path: Path, sampler: dict[str, object] | None) -> None:
    bands = {"gains": (1.2, 0.9), "bands_before": {"a": [0.8, 1.1]}, "bands_after": {"a": [0.9, 1.0]}}
    fit = Calibration(temperature=(1.1,), sampler=sampler, before={"a": 0.8}, after={"a": 0.9}, **bands)
    fit.save(tmp_path)
    assert Calibration.load(tmp_path) == fit


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path) is None


def test_the_first_ones_carried_no_seal(tmp_path: Path) -> None:
    write_json(tmp_path / FILE, FIT.settings())
    assert Calibration.load(tmp_path) == FIT


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    FIT.save(tmp_path)
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace("1.05", "1.06"))
    with pytest.raises(BadDataError, match=f"{FILE}: changed since it was written; .* `wml train` fits it again"):
        Calibration.load(tmp_path)


def test_before_and_after_in_one_line() -> None:
    assert FIT.describe() == "calibrated on the validation part, spread over error: t2m 0.91 -> 0.99"


def test_a_fit_of_before_has_no_gains(tmp_path: Path) -> None:
    older = {name: value for name, value in FIT.settings().items() if "gains" not in name and "bands" not in name}
    write_json(tmp_path / FILE, older)
    assert Calibration.load(tmp_path) == FIT


def test_gains_that_cannot_be(tmp_path: Path) -> None:
    write_json(tmp_path / FILE, FIT.settings() | {"gains": [1.0, 11.0]})
    with pytest.raises(BadDataError, match=r"gains \(1\.0, 11\.0\) is not between 0 and 10"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", "[]", json.dumps({"temperature": [1.0], "color": "red"})])
def test_a_broken_file_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BadDataError, match=FILE):
        Calibration.load(tmp_path)
