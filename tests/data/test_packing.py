"""Packing: what goes in comes out to within half a step, whatever the range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weatherml.data.packing import FILL, Packing, choose_packing, pack, unpack
from weatherml.errors import BadDataError
from weatherml.variables import TABLE, Variable

ANY = Variable(name="any", units="1")
finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(finite, finite)
def test_the_chosen_packing_covers_its_range(a: float, b: float) -> None:
    low, high = sorted((a, b))
    packing = choose_packing(ANY, low, high)
    assert math.frexp(packing.scale_factor)[0] == 0.5  # a power of two
    assert packing.range[0] <= low
    assert high <= packing.range[1]


@given(finite, finite, st.floats(0, 1))
def test_round_trip_within_half_a_step(a: float, b: float, share: float) -> None:
    low, high = sorted((a, b))
    packing = choose_packing(ANY, low, high)
    value = np.array([low + share * (high - low), low, high, np.nan])
    back = unpack(pack(value, packing), packing).astype(np.float64)
    assert np.abs(back - value)[:3].max() <= packing.scale_factor / 2
    assert np.isnan(back[3])


@given(st.sampled_from(sorted(TABLE)), st.integers(-32767, 32767))
def test_whole_steps_are_exact(name: str, steps: int) -> None:
    packing = choose_packing(TABLE[name], np.nan, np.nan)
    value = np.array([packing.add_offset + steps * packing.scale_factor])
    assert pack(value, packing) == steps
    assert unpack(pack(value, packing), packing) == value  # in float32, bit for bit


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_table_packs_its_valid_range(name: str) -> None:
    variable = TABLE[name]
    packing = choose_packing(variable, np.nan, np.nan)
    assert variable.valid_min is not None
    assert variable.valid_max is not None
    assert packing.range[0] <= variable.valid_min
    assert variable.valid_max <= packing.range[1]


def test_out_of_range_is_the_end_and_never_wraps() -> None:
    packing = Packing(scale_factor=0.5, add_offset=10.0)
    packed = pack(np.array([1e9, -1e9, np.inf, np.nan]), packing)
    assert packed.tolist() == [32767, -32767, FILL, FILL]


def test_steps_finer_than_float32_are_not_chosen() -> None:
    # at 100000 float32 resolves 2^-7: a step of 2 / 65532 = 3e-5 would be lost in unpacking
    packing = choose_packing(ANY, 100000.0, 100002.0)
    assert packing.scale_factor == 2.0**-6  # the power of two at or above 100002 / 2^23 = 0.0119


def test_no_finite_range() -> None:
    with pytest.raises(BadDataError, match="any: no finite value"):
        choose_packing(ANY, np.nan, 1.0)
