"""Gaussian fields from white noise."""

from __future__ import annotations

import pytest
import torch

from weatherml.fields import Shape
from weatherml.nn.gaussian_fields import GaussianFields, binomial
from weatherml.nn.padding import Padding

LEVELS = 4
SHAPE = Shape(channels=3, height=16, width=16, delta_std=(1.0, 1.0, 1.0), tied=(False, True, False))
PERIODIC = Padding(y="circular", x="circular")


def learnt(padding: Padding = PERIODIC) -> GaussianFields:
    """Of three maps with weights of one, as after training."""
    fields = GaussianFields(3, SHAPE, levels=LEVELS, padding=padding)
    torch.nn.init.ones_(fields.mix.weight)
    return fields


def test_they_begin_as_nothing() -> None:
    assert not GaussianFields(3, SHAPE, levels=LEVELS, padding=PERIODIC)(torch.randn(1, 3, 16, 16)).any()


def test_each_level_has_unit_variance() -> None:
    torch.manual_seed(0)
    field, std = torch.randn(64, 1, 128, 128), learnt().std
    for level in range(LEVELS):
        smooth = binomial(field, 2**level, PERIODIC)
        assert float((field - smooth).std() / std[level]) == pytest.approx(1, abs=0.02)
        field = smooth
    assert float(field.std() / std[LEVELS]) == pytest.approx(1, abs=0.02)


def test_they_are_linear_and_alike_everywhere() -> None:
    fields, a, b = learnt(), torch.randn(1, 3, 32, 24), torch.randn(1, 3, 32, 24)
    with torch.no_grad():
        torch.testing.assert_close(fields(2 * a - b), 2 * fields(a) - fields(b))
        torch.testing.assert_close(fields(a.roll((5, 3), (-2, -1))), fields(a).roll((5, 3), (-2, -1)))


def test_what_has_ties_has_none() -> None:
    drawn = learnt()(torch.randn(1, 3, 32, 24))
    assert drawn[:, 0].std() > 1
    assert not drawn[:, 1].any()


def test_bfloat16_around_them_costs_no_detail() -> None:
    fields, noise = learnt(), torch.randn(1, 3, 32, 24)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        drawn = fields(noise)
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, fields(noise))


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_a_grid_smaller_than_the_widest_filter(mode: str) -> None:
    fields = learnt(Padding.model_validate(mode))
    assert fields(torch.randn(1, 3, 5, 1)).shape == (1, 3, 5, 1)
    constant = binomial(torch.ones(1, 1, 5, 7), 8, fields.padding)
    torch.testing.assert_close(constant, torch.ones(1, 1, 5, 7))
