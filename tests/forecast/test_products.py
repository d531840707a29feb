"""Products of an ensemble: by hand, and as pysteps has them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from weatherml.forecast.products import (
    PRODUCTS,
    mean,
    neighbourhood_probability,
    neighbourhood_width,
    probability,
    probability_matched_mean,
    spread,
)
from weatherml.variables import TABLE, Variable


def fields(*members: list[list[float]]) -> torch.Tensor:
    """(1, M, H, W)."""
    return torch.tensor([members])


@pytest.fixture(scope="module")
def rain() -> torch.Tensor:
    """(2, 6, 20, 24), mostly dry."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, 20, 24, generator=generator).sub(0.5).clamp_min(0).mul(4)


def pysteps(module: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pysteps warns of its optional parts when imported
        return pytest.importorskip(f"pysteps.postprocessing.{module}")


def test_mean_and_spread_by_hand() -> None:
    members = fields([[1.0, 5.0]], [[2.0, 5.0]], [[6.0, 5.0]])
    assert mean(members).tolist() == [[[3.0, 5.0]]]
    assert spread(members)[0, 0].tolist() == pytest.approx([7**0.5, 0])  # (4 + 1 + 9) / (3 - 1) = 7


def test_probability_by_hand() -> None:
    members = fields([[10.0, 30.0]], [[30.0, 31.0]], [[29.9, 50.0]], [[40.0, 0.0]])
    assert probability(members, threshold=30.0, side="above").tolist() == [[[0.5, 0.75]]]  # the threshold counts
    assert probability(members, threshold=30.0, side="below").tolist() == [[[0.75, 0.5]]]


def test_neighbourhood_probability_by_hand() -> None:
    one, two = torch.zeros(5, 5), torch.zeros(5, 5)
    one[2, 2], two[0, 0] = 1, 1
    found = neighbourhood_probability(torch.stack([one, two])[None], threshold=1.0, side="above", width=3)[0]
    assert found[2, 2] == pytest.approx(1 / 18)  # 1 of 2 members x 9 cells
    assert found[1, 1] == pytest.approx(2 / 18)  # both events are in its 3 x 3
    assert found[0, 0] == pytest.approx(1 / 8)  # the corner has 2 x 2 cells: 1 of 2 x 4
    assert found[4, 4] == 0
    everywhere = neighbourhood_probability(torch.ones(1, 2, 4, 5), threshold=1.0, side="above", width=3)
    torch.testing.assert_close(everywhere, torch.ones(1, 4, 5))


def test_probability_matched_mean_by_hand() -> None:
    # means 4, 1, 2, 3 rank 1st, 4th, 3rd, 2nd; the pool 9 8 3 2 2 1 0 -5 keeps every second: 9 3 2 0
    members = fields([[0.0, -5.0], [2.0, 8.0]], [[9.0, 3.0], [1.0, 2.0]])
    assert mean(members).tolist() == [[[4.5, -1.0], [1.5, 5.0]]]
    # means 4.5, -1, 1.5, 5 rank 2nd, 4th, 3rd, 1st
    assert probability_matched_mean(members).tolist() == [[[3.0, 0.0], [2.0, 9.0]]]


def test_one_member_is_matched_to_itself(rain: torch.Tensor) -> None:
    assert torch.equal(probability_matched_mean(rain[:, :1]), rain[:, 0])


def test_the_matched_mean_keeps_pattern_and_amplitudes(rain: torch.Tensor) -> None:
    found, average = probability_matched_mean(rain), mean(rain)
    assert torch.equal(found.flatten(1).max(1).values, rain.flatten(1).max(1).values)
    for lead in range(2):
        steps = found[lead].flatten()[average[lead].flatten().argsort()].diff()
        assert (steps >= 0).all()
    assert (found[average == 0] == 0).all()  # dry in every member stays dry, though ties are broken by place


def test_as_in_pysteps(rain: torch.Tensor) -> None:
    statistics, matching = pysteps("ensemblestats"), pysteps("probmatching")
    for lead in range(2):
        members = rain[lead].double().numpy()
        np.testing.assert_allclose(mean(rain)[lead], statistics.mean(members), rtol=1e-6, atol=1e-7)
        expected = statistics.excprob(members, 2.0)
        np.testing.assert_allclose(probability(rain, threshold=2.0, side="above")[lead], expected, rtol=1e-6)
        # pysteps matches two fields of one size, and dries what the first has dry: no point is, once all are wet
        wet = rain[lead : lead + 1] + 1e-3 * torch.rand(20, 24, generator=torch.Generator().manual_seed(1))
        pool = wet.flatten().sort(descending=True).values[::6].view(20, 24)
        expected = matching.nonparam_match_empirical_cdf(mean(wet)[0].numpy(), pool.numpy())
        np.testing.assert_allclose(probability_matched_mean(wet)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_missing_where_a_member_is(name: str, rain: torch.Tensor) -> None:
    members = rain.clone()
    members[1, 3] = torch.nan
    made = PRODUCTS[name](TABLE["refc"], 3.0)
    assert made
    for product in made:
        found = product.compute(members)
        assert found.shape == (2, 20, 24)
        assert found.dtype == torch.float32
        assert found[0].isfinite().all()
        assert found[1].isnan().all()
        torch.testing.assert_close(found[0], product.compute(rain)[0])  # a lead knows nothing of the others


def test_probabilities_bear_the_names_of_events() -> None:
    assert [each.suffix for each in PRODUCTS["probability"](TABLE["cin"], 3.0)] == [
        "probability_below_m100jkg1",
        "probability_below_m25jkg1",
    ]
    assert PRODUCTS["neighbourhood"](TABLE["refc"], 3.0)[1].suffix == "neighbourhood_probability_30dbz"
    assert PRODUCTS["neighbourhood"](TABLE["refc"], 3.0)[1].long_name == (
        "probability of composite reflectivity at least 30 dBZ in a square of 39km"
    )
    assert PRODUCTS["probability"](Variable(name="t2m", units="K"), None) == []


@pytest.mark.parametrize(("spacing_km", "cells"), [(3.0, 13), (None, 13), (2.0, 21), (1.0, 41), (12.0, 3), (100.0, 3)])
def test_a_neighbourhood_is_about_40_km_across(spacing_km: float | None, cells: int) -> None:
    assert neighbourhood_width(spacing_km) == cells
