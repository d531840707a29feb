"""Formulas: what they give, what they may not do, and how derived variables are told from those that are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.sources.derived import divide
from weatherml.sources.formula import FUNCTIONS, MOST_CHARACTERS, evaluate, inputs_of
from weatherml.sources.hrrr import HRRR
from weatherml.sources.netcdf import NetCDF
from weatherml.sources.synthetic import Synthetic
from weatherml.variables import DERIVED

U, V = np.array([3.0, -5.0, np.nan], np.float32), np.array([4.0, 12.0, 1.0], np.float32)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("sqrt(u**2 + v**2)", [5, 13, np.nan]),
        ("hypot(u, v)", [5, 13, np.nan]),
        ("-u * 2 + v / 4 - 1.5", [-6.5, 11.5, np.nan]),  # -6 + 1 - 1.5; 10 + 3 - 1.5
        ("where(u > 0, u, 0)", [3, 0, np.nan]),  # not 0: what is missing is not calm
        ("(v >= 4) + (v < 12)", [2, 1, 1]),
        ("log(u - 3) * 0", [np.nan, np.nan, np.nan]),  # 0 times minus infinity; of -8; missing
        ("degrees(arctan2(u, v))", [36.869898, -22.619865, np.nan]),
        ("minimum(u, 0) * 10**2", [0, -500, np.nan]),
    ],
)
def test_formulas(formula: str, expected: list[float]) -> None:
    fields = {name: field for name, field in {"u": U, "v": V}.items() if name in inputs_of(formula, at="f")}
    before = {name: field.copy() for name, field in fields.items()}
    values = evaluate(formula, fields)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, np.array(expected, np.float32), rtol=1e-6)
    for name, field in fields.items():
        np.testing.assert_array_equal(field, before[name])


REFUSED = {
    "syntax": "sqrt(u10",
    "nothing": "",
    "two expressions": "u10; v10",
    "a call of a call": "sqrt(u10)(v10)",
    "an unknown function": "open('/etc/passwd')",
    "an attribute that writes": "u10.tofile('out')",
    "a way out": "u10.__class__.__mro__",
    "a subscript": "u10[0]",
    "a keyword": "sqrt(u10, out=v10)",
    "an output argument": "maximum(u10, v10, t2m)",
    "text": "u10 + 'a'",
    "a comprehension": "[u10 for _ in u10]",
    "a lambda": "(lambda: u10)()",
    "a branch": "u10 if u10 > 0 else v10",
    "a chain of comparisons": "0 < u10 < 1",
    "and": "(u10 > 0) and (v10 > 0)",
    "whole division": "u10 // 2",
    "shift": "1 << u10",
    "a function as a value": "sqrt + u10",
    "too many brackets": "(" * 240 + "u10" + ")" * 240,
    "too long": "u10" + " + u10" * (MOST_CHARACTERS // 6),
    "an assignment": "(x := u10)",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_formula(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"variables\.x\.formula: .* is no formula \(.*\); use variables, numbers"):
        inputs_of(REFUSED[case], at="variables.x.formula")
    assert not list(tmp_path.iterdir())


def test_numbers_alone_are_no_variable_and_do_not_grow() -> None:
    with pytest.raises(ConfigError, match=r"f: '9\*\*9\*\*9\*\*9' names no variable"):
        inputs_of("9**9**9**9", at="f")
    assert inputs_of("u10 * 0 + 9**9**9", at="f") == ("u10",)


def test_every_function_goes_point_by_point() -> None:
    for name, function in FUNCTIONS.items():
        arguments = next(n for n in (1, 2, 3) if accepts(function, n))
        assert function(*[np.full(3, 0.5)] * arguments).shape == (3,), name


def accepts(function: Any, count: int) -> bool:
    try:
        function(*[np.full(3, 0.5)] * count)
    except TypeError:
        return False
    return True


def test_what_is_derived_leaves_the_variables_that_are_read() -> None:
    own = {"formula": "cape + cin", "units": "J kg-1"}
    config = HRRR(variables={"wind_speed": {}, "refc": {}, "net": own, "v10": {"valid_max": 80}})
    assert config.variables == {"refc": {}, "v10": {"valid_max": 80}, "u10": {}, "cape": {}, "cin": {}}
    assert config.derived == {"wind_speed": {}, "net": own}
    assert config.stored == ("wind_speed", "refc", "net", "v10")
    assert [variable.name for variable in config.selection()] == ["refc", "v10", "u10", "cape", "cin"]


def test_without_derived_variables_nothing_changes() -> None:
    assert divide({"variables": {"t2m": {}}}) == {"variables": {"t2m": {}}}
    assert divide({}) == {}
    assert Synthetic().stored is None


def test_a_known_name_that_the_sources_own_keys_find_is_read() -> None:
    config = NetCDF(variables={"wind_speed": {"source_name": "WSPD"}, "dewpoint_depression": {"formula": ""}})
    assert list(config.variables or {}) == ["wind_speed", "dewpoint_depression"]
    assert not config.derived


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": {"formula": "u10 +", "units": "1"}}, r"variables\.x\.formula: 'u10 \+' is no formula"),
        ({"x": {"formula": "u10"}}, r"variables\.x\.units: Field required"),
        (
            {"x": {"formula": "u10", "units": "1", "color": "red"}},
            r"variables\.x\.color: unknown key; did you mean 'col",
        ),
        ({"x": {"formula": "2 * y", "units": "1"}, "y": {"formula": "u10", "units": "1"}}, "needs y, itself a formula"),
        ({"x": {"formula": "u11", "units": "1"}}, r"variables\.u11: no.* channel.*; did you mean 'u10'"),
    ],
)
@pytest.mark.parametrize("source", [HRRR, Synthetic])
def test_formulas_are_checked_with_the_configuration(source: type, variables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(source, {"variables": variables})


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_the_table_of_derived_variables(name: str) -> None:
    variable = DERIVED[name]
    assert set(inputs_of(variable.formula, at=name)) <= {"u10", "v10", "t2m", "d2m"}
    config = Synthetic(variables={name: {}})
    assert config.stored == (name,)


def test_the_real_day_lies_within_the_tables_ranges(shared_data: Path) -> None:
    """Packing of temperature and dew point apart must not make dew points above the temperature."""
    hour = shared_data / "hrrr_smrf_rme/hrrr.20180722/hrrr.t12z.wrfsfcf01.grib2"
    source = HRRR(variables={name: {} for name in DERIVED}).build([str(hour)])
    (frame,) = source.read(source.times)
    for name, variable in DERIVED.items():
        values = evaluate(variable.formula, {each: frame[each] for each in inputs_of(variable.formula, at=name)})
        assert variable.valid_min is not None
        assert variable.valid_max is not None
        assert variable.valid_min <= values.min() < values.max() <= variable.valid_max
