"""The table of variables is consistent, and so must be what users add."""

from __future__ import annotations

import math
from typing import Any

import pytest

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.variables import DERIVED, TABLE, Variable


@pytest.mark.parametrize("name", sorted(TABLE | DERIVED))
def test_the_tables(name: str) -> None:
    variable = (TABLE | DERIVED)[name]
    assert bool(variable.formula) == (name in DERIVED)
    assert name not in TABLE or name not in DERIVED
    assert variable.name == name
    assert variable.packing_step is not None
    assert math.frexp(variable.packing_step)[0] == 0.5  # a power of two
    assert (variable.add_offset / variable.packing_step).is_integer()
    assert variable.not_above is None or variable.not_above in TABLE
    assert parse(Variable, variable.settings()) == variable
    assert variable.label == f"{variable.long_name} ({variable.units})"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transform": "clip"}, "transform clip needs valid_min"),
        ({"valid_min": 2, "valid_max": 2}, r"valid_min 2.0 is not below valid_max 2.0"),
        ({"packing_step": 0.01}, "packing_step 0.01 is not a power of two"),
        ({"packing_step": 0}, "packing_step: .*greater than 0"),
        ({"transform": "log"}, "transform: "),
        ({"valid_min": float("nan")}, "valid_min: "),
    ],
)
def test_what_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Variable, {"name": "x", "units": "1", **settings})
