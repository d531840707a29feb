"""Normalising and its inverse, for each transform."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weatherml.data.packing import FILL, Packing
from weatherml.data.statistics import Statistics
from weatherml.data.transforms import (
    Normaliser,
    Tie,
    by_index,
    by_rows,
    delta_scale,
    inverse,
    looked_up,
    lookup_tables,
    tie,
    transform,
)
from weatherml.variables import TABLE, Variable

RANGES = {
    "none": (-1e4, 1e4),
    "log1p": (0, 1e4),
    "signed_log1p": (-1e4, 1e4),
    "sqrt": (0, 1e4),
    "signed_sqrt": (-1e4, 1e4),
    "clip": (-10, 90),
}


def statistics(mean: list[float], std: list[float], delta: list[float] | None = None) -> Statistics:
    zero = np.zeros(len(mean))
    return Statistics(
        mean=np.array(mean), std=np.array(std), min=zero, max=zero, zero_share=zero, delta_std=np.array(delta or std)
    )


def normaliser(*variables: Variable, mean: float = 0.5, std: float = 2.0) -> Normaliser:
    packings = [Packing(scale_factor=0.5, add_offset=1.0)] * len(variables)
    return Normaliser(variables, packings, statistics([mean] * len(variables), [std] * len(variables)))


@pytest.mark.parametrize("name", sorted(RANGES))
@given(data=st.data())
def test_there_and_back(name: str, data: st.DataObject) -> None:
    low, high = RANGES[name]
    variable = Variable(name="any", units="1", transform=name, valid_min=low, valid_max=high)  # type: ignore[arg-type]
    values = data.draw(st.lists(st.floats(low, high), min_size=1, max_size=20))
    physical = torch.tensor(values).view(1, 1, -1)
    back = normaliser(variable).denormalise(normaliser(variable).normalise(physical))
    assert torch.allclose(back, physical, rtol=2e-5, atol=1e-4)


def test_golden_transforms() -> None:
    x = torch.tensor([-20.0, -3.0, 0.0, 3.0], dtype=torch.float64)
    log4 = np.log(4.0)  # log1p(3)
    assert transform(x, TABLE["cape"]).tolist() == pytest.approx([0, 0, 0, log4])
    assert transform(x, TABLE["cin"]).tolist() == pytest.approx([-np.log(21.0), -log4, 0, log4])
    root = TABLE["cape"].model_copy(update={"transform": "sqrt"})
    assert transform(x, root).tolist() == pytest.approx([0, 0, 0, 3**0.5])
    assert inverse(torch.tensor([-2.0, 0.0, 2.0]), root).tolist() == [0, 0, 4]
    signed = TABLE["cin"].model_copy(update={"transform": "signed_sqrt"})
    assert transform(x, signed).tolist() == pytest.approx([-(20**0.5), -(3**0.5), 0, 3**0.5])
    assert transform(x, TABLE["refc"]).tolist() == [-10, -3, 0, 3]  # clipped at no echo
    assert inverse(torch.tensor([log4]), TABLE["cape"]).item() == pytest.approx(3.0)


def test_unpack_keeps_missing_missing() -> None:
    packed = torch.tensor([[[4, int(FILL)]]], dtype=torch.int16)
    physical = normaliser(TABLE["t2m"]).unpack(packed)
    assert physical[0, 0, 0] == 3.0  # 4 * 0.5 + 1
    assert physical[0, 0, 1].isnan()
    assert normaliser(TABLE["t2m"]).normalise(physical)[0, 0, 1].isnan()


def test_a_look_up_is_the_arithmetic_to_the_bit() -> None:
    """Of every packed integer, for every transform, on a processor and as on a GPU; 0 and unknown where missing."""
    every = torch.arange(-32768, 32768).to(torch.int16).view(1, 1, 256, 256)
    packed = every.expand(2, len(TABLE), -1, -1).flip(-1)
    by = normaliser(*TABLE.values())
    states, there = looked_up(lookup_tables(by), packed)
    assert torch.equal(states, torch.nan_to_num(by.normalise(by.unpack(packed))))
    assert torch.equal(there, packed != int(FILL))
    assert torch.equal(by_index(lookup_tables(by), packed), states)


@pytest.mark.parametrize("box", [(slice(None), slice(None)), (slice(1, 40), slice(2, 9))])
def test_fields_that_are_parts_of_others_are_looked_up_too(box: tuple[slice, slice]) -> None:
    tables = np.random.default_rng(0).normal(size=(3, 65536)).astype(np.float32)
    packed = np.random.default_rng(1).integers(-32768, 32768, (2, 2, 3, 70, 11)).astype(np.int16)[..., *box]
    golden = np.stack([tables[c][packed[:, :, c].astype(int) % 65536] for c in range(3)], axis=2)
    assert np.array_equal(by_rows(tables, packed), golden)


def test_what_comes_back_is_possible() -> None:
    both = normaliser(TABLE["t2m"], TABLE["d2m"], mean=280.0, std=10.0)
    # t2m 280 + 10 = 290, d2m 280 + 20 = 300 bounded by 290; 280 - 500 by the smallest valid 205, d2m by 205 too
    physical = both.denormalise(torch.tensor([[[1.0, -50.0]], [[2.0, 0.0]]]))
    assert physical[:, 0, 0].tolist() == [290.0, 290.0]
    assert physical[:, 0, 1].tolist() == [205.0, 205.0]


@pytest.mark.parametrize("name", sorted(RANGES))
def test_what_is_fed_back_has_finite_gradients(name: str) -> None:
    """At the bound too: the slope of a root is infinite there, and that of its inverse 0."""
    variable = Variable(name="any", units="1", transform=name, valid_min=RANGES[name][0])  # type: ignore[arg-type]
    there = normaliser(variable)
    states = torch.linspace(-1.0, 1.0, 9).view(1, 1, -1)
    states[..., 3] = there.normalise(torch.zeros(1, 1, 1)).flatten()  # exactly
    states.requires_grad_()
    there.bounded(states).sum().backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_overflow_stays_visible(name: str, bad: float) -> None:
    assert normaliser(TABLE[name]).denormalise(torch.tensor([[[bad]]])).isnan().all()


def test_constant_channels_divide_by_one() -> None:
    still = Normaliser([TABLE["t2m"]], [Packing(scale_factor=1.0, add_offset=0.0)], statistics([280.0], [0.0]))
    assert still.normalise(torch.tensor([[[281.0]]])).item() == 1.0
    assert delta_scale(statistics([0.0, 0.0, 0.0], [4.0, 4.0, 0.0], [2.0, 0.0, 0.0])) == (0.5, 1.0, 1.0)


def test_a_forecast_stays_near_what_training_saw() -> None:
    """Rain from 0 to e^2 - 1 in training, so 0 to 2 as transformed: up to 2.2, whatever the model says."""
    rain = Variable(name="rain", units="mm h-1", transform="log1p", valid_min=0.0)
    seen = replace(statistics([0.5], [2.0]), min=np.array([0.0]), max=np.array([2.0]))
    there = Normaliser([rain], [Packing(scale_factor=1.0, add_offset=0.0)], seen)
    said = (torch.tensor([-9.0, 1.0, 2.1, 2.5, 40.0, math.inf, math.nan]) - 0.5).view(1, 1, -1) / 2.0
    physical = there.forecast(said).flatten()
    assert physical[:5].tolist() == pytest.approx([math.expm1(z) for z in (0.0, 1.0, 2.1, 2.2, 2.2)], rel=1e-5)
    assert physical[5:].isnan().all()
    torch.testing.assert_close(there.bounded(said)[..., 1:3], said[..., 1:3])
    assert there.denormalise(said).flatten()[3] == pytest.approx(math.expm1(2.5), rel=1e-5)


def test_a_variable_that_never_varied_in_training_is_not_bound() -> None:
    """Nor is one that was never there, whose extremes are not finite."""
    for low, high in ((280.0, 280.0), (math.inf, -math.inf)):
        seen = replace(statistics([280.0], [0.0]), min=np.array([low]), max=np.array([high]))
        there = Normaliser([TABLE["t2m"]], [Packing(scale_factor=1.0, add_offset=0.0)], seen)
        assert there.forecast(torch.tensor([[[5.0]]])).item() == pytest.approx(285.0)


def of_training(low: float, high: float, zero_share: float) -> Statistics:
    return replace(
        statistics([0.5], [2.0]), min=np.array([low]), max=np.array([high]), zero_share=np.array([zero_share])
    )


RAIN = Variable(name="rain", units="mm h-1", transform="log1p", valid_min=0.0)
FRACTION = Variable(name="cloud", units="1", valid_min=0.0, valid_max=1.0)


@pytest.mark.parametrize(
    ("variable", "zero_share", "expected"),
    [
        (RAIN, 0.7, Tie(value=0.0, side=-1)),
        (Variable(name="rain", units="mm h-1", transform="sqrt"), 0.7, Tie(value=0.0, side=-1)),
        (RAIN, 0.001, None),
        (FRACTION, 0.5, Tie(value=0.0, side=-1)),
        (TABLE["refc"], 0.0, Tie(value=-10.0, side=-1)),
        (TABLE["cin"], 0.4, Tie(value=0.0, side=1)),
        (TABLE["t2m"], 0.5, None),
        (TABLE["u10"], 0.5, None),
    ],
)
def test_bounds_that_are_met_exactly_are_ties(variable: Variable, zero_share: float, expected: Tie | None) -> None:
    assert tie(variable, zero_share) == expected


@pytest.mark.parametrize(
    ("variable", "bound", "others"),
    [(RAIN, 0.0, [0.01, 5.0]), (TABLE["refc"], -10.0, [-9.9, 40.0]), (TABLE["cin"], 0.0, [-0.01, -200.0])],
)
def test_ties_are_set_off_by_the_gap_and_all_in_it_is_the_bound(
    variable: Variable, bound: float, others: list[float]
) -> None:
    seen = of_training(-10.0, 10.0, 0.4)
    packings = [Packing(scale_factor=1.0, add_offset=0.0)]
    apart = Normaliser([variable], packings, seen, gap=0.5)
    beside = Normaliser([variable], packings, seen)
    side = 1 if variable.name == "cin" else -1
    fields = torch.tensor([bound, *others]).view(1, 1, 1, -1)
    set_off, as_they_are = apart.normalise(fields).flatten(), beside.normalise(fields).flatten()
    assert set_off[0] == pytest.approx(as_they_are[0] + side * 0.5)
    assert set_off[1:].tolist() == as_they_are[1:].tolist()
    within = (as_they_are[0] + side * torch.tensor([0.0, 0.1, 0.5, 0.9])).view(1, 1, 1, -1)
    assert apart.forecast(within).flatten().tolist() == [bound] * 4
    assert apart.bounded(within).flatten().tolist() == [set_off[0]] * 4
    torch.testing.assert_close(apart.denormalise(apart.normalise(fields)), fields, rtol=1e-4, atol=1e-4)


def test_a_tie_is_found_in_packed_fields_that_round() -> None:
    packing = Packing(scale_factor=0.1, add_offset=0.7)  # -107 stands for -10, nearly
    there = Normaliser([TABLE["refc"]], [packing], of_training(-10.0, 60.0, 0.0), gap=0.5)
    packed = torch.tensor([-107, -106], dtype=torch.int16).view(1, 1, 1, -1)
    beside = Normaliser([TABLE["refc"]], [packing], of_training(-10.0, 60.0, 0.0))
    moved = there.normalise(there.unpack(packed)) - beside.normalise(beside.unpack(packed))
    assert moved.flatten().tolist() == pytest.approx([-0.5, 0.0], abs=1e-6)


def test_bounds_of_a_forecast_leave_room_for_the_gap() -> None:
    there = Normaliser([RAIN], [Packing(scale_factor=1.0, add_offset=0.0)], of_training(0.0, 0.1, 0.7), gap=1.0)
    dry = there.normalise(torch.zeros(1, 1, 1, 1))
    assert there.least.item() < dry.item() * 2.0 + 0.5
    assert there.bounded(dry).item() == dry.item()
