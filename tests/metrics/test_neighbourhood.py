"""Neighbourhood probabilities: against arithmetic and plain pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from weatherml.metrics.neighbourhood import anywhere, dilate
from weatherml.metrics.nep_brier import NEPBrier
from weatherml.metrics.nmep_brier import NMEPBrier

EVENT: dict[str, Any] = {"threshold": 30.0, "units_of_threshold": "dBZ"}
GENERATOR = torch.Generator().manual_seed(2)


def value(metric: NEPBrier | NMEPBrier, forecast: torch.Tensor, truth: torch.Tensor) -> float:
    mask = torch.ones_like(truth, dtype=torch.bool)
    return float(metric.value(metric.statistics(forecast, truth, mask, torch.ones(truth.shape[-2]))))


@pytest.mark.parametrize("width", [1, 3, 9, 27])
def test_anywhere_is_max_pooling(width: int) -> None:
    values = 60 * torch.rand(2, 3, 20, 31, generator=GENERATOR) - 25
    mask = torch.rand(2, 20, 31, generator=GENERATOR) < 0.9
    event = ((values >= 30) & mask.unsqueeze(1)).float()
    expected = torch.nn.functional.max_pool2d(event, width, stride=1, padding=width // 2).mean(1)
    torch.testing.assert_close(anywhere(values, mask, 30.0, "above", width), expected)


def test_dilate_by_hand() -> None:
    bits = np.array([[0, 2, 0, 0, 0, 1, 0, 0, 0]], dtype=np.uint8)  # of two members
    assert dilate(bits, -1, 5).tolist() == [[2, 2, 2, 3, 1, 1, 1, 1, 0]]
    assert dilate(bits.T, -2, 5).T.tolist() == [[2, 2, 2, 3, 1, 1, 1, 1, 0]]


def test_golden_numbers() -> None:
    # one row of four cells; member 1 has the event in cell 0, member 2 in cell 1; it comes in cell 1
    forecast = torch.tensor([[[[40.0, 0.0, 0.0, 0.0]], [[0.0, 40.0, 0.0, 0.0]]]])
    truth = torch.tensor([[[0.0, 40.0, 0.0, 0.0]]])
    # NEP, windows of 2, 3, 3, 2 cells: mean shares 1/2, 1/3, 1/6, 0 against 0, 1, 0, 0
    assert value(NEPBrier(**EVENT, width=3), forecast, truth) == pytest.approx((1 / 4 + 4 / 9 + 1 / 36) / 4)
    # NMEP 1, 1, 1/2, 0 against 1, 1, 1, 0
    assert value(NMEPBrier(**EVENT, width=3), forecast, truth) == pytest.approx((1 / 4) / 4)


def test_an_event_everywhere_is_certain_up_to_the_edges() -> None:
    storm = torch.full((1, 2, 6, 6), 40.0)
    assert value(NEPBrier(**EVENT, width=9), storm, storm[:, 0]) == 0


def test_names() -> None:
    assert NEPBrier(**EVENT, width=9, spacing_km=3.0).name == "nep_brier_30dbz_27km"
    assert NMEPBrier(**EVENT, width=3).name == "nmep_brier_30dbz_3cells"
