"""Objects: counts and sizes by hand, and as OpenCV labels them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch

from weatherml.metrics.object_count_ratio import ObjectCountRatio
from weatherml.metrics.object_size_ratio import ObjectSizeRatio
from weatherml.metrics.objects import SIZES, ObjectMetric, areas, size_bins
from weatherml.variables import TABLE

EVENT: dict[str, Any] = {"threshold": 30.0, "units_of_threshold": "dBZ"}
COUNT, SIZE = ObjectCountRatio(**EVENT), ObjectSizeRatio(**EVENT)


def field(*lines: str) -> torch.Tensor:
    """35 dBZ at each `#`, 0 elsewhere: (1, H, W)."""
    return 35.0 * torch.tensor([[character == "#" for character in line] for line in lines]).unsqueeze(0)


TRUTH = field(
    "##....#",
    "#....#.",
    "...#...",
    "..##...",
    ".......",
)  # objects of 3, 2 (cells that touch at a corner) and 3 cells
SPLIT = field(
    "#.#.#.#",
    ".......",
    "#.#....",
    ".......",
    "......#",
)  # seven objects of one cell


def value(metric: ObjectMetric, forecast: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None = None) -> float:
    mask = torch.ones_like(truth, dtype=torch.bool) if mask is None else mask
    return float(metric.value(metric.statistics(forecast, truth, mask, torch.ones(truth.shape[-2]))))


def test_by_hand() -> None:
    assert sorted(areas(TRUTH[0].numpy() > 0)) == [2, 3, 3]
    assert value(COUNT, SPLIT.unsqueeze(1), TRUTH) == pytest.approx(7 / 3)
    assert value(SIZE, SPLIT.unsqueeze(1), TRUTH) == pytest.approx(1 / (8 / 3))


def test_members_are_counted_one_by_one() -> None:
    both = torch.stack([SPLIT, TRUTH], dim=1)
    assert value(COUNT, both, TRUTH) == pytest.approx((7 + 3) / 2 / 3)
    assert value(SIZE, both, TRUTH) == pytest.approx(((7 + 8) / (7 + 3)) / (8 / 3))  # of all ten, not a mean of means


def test_unknown_cells_are_no_part_of_an_object() -> None:
    mask = torch.ones(1, 5, 7, dtype=torch.bool)
    mask[0, 3, 3] = False  # cuts the third object in two that touch at a corner: 2 cells
    assert value(COUNT, SPLIT.unsqueeze(1), TRUTH, mask) == pytest.approx(7 / 3)
    assert value(SIZE, SPLIT.unsqueeze(1), TRUTH, mask) == pytest.approx(1 / (7 / 3))


def test_without_objects_there_is_nothing_to_compare() -> None:
    calm = torch.zeros(1, 5, 7)
    assert value(COUNT, calm.unsqueeze(1), TRUTH) == 0
    assert np.isnan([value(SIZE, calm.unsqueeze(1), TRUTH), value(COUNT, TRUTH.unsqueeze(1), calm)]).all()


def test_the_diagram_is_the_share_by_size() -> None:
    sums = COUNT.statistics(SPLIT.unsqueeze(1), TRUTH, torch.ones(1, 5, 7, dtype=torch.bool), torch.ones(5))
    found = COUNT.diagram(sums)
    assert (found.dim, found.bins[:4].tolist()) == ("cells", [1, 2, 4, 8])
    assert found.arrays["forecast_share"][0, :3].tolist() == [1, 0, 0]
    assert found.arrays["truth_share"][0, :3].tolist() == [0, 1, 0]  # 2, 3 and 3 cells
    assert size_bins(np.array([1, 2, 3, 4, 7, 8, 2**21 - 1, 2**30])).tolist() == [0, 1, 1, 2, 2, 3, 20, SIZES - 1]


def test_as_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(120, 90)), 1.5)
    event = smooth > 0.5 * smooth.std()
    _, _, stats, _ = cv2.connectedComponentsWithStats(event.astype(np.uint8), connectivity=8)
    expected = stats[1:, cv2.CC_STAT_AREA].tolist()
    assert len(expected) > 50
    assert sorted(areas(event)) == sorted(expected)


def test_only_events_that_lie_above_have_objects() -> None:
    assert ObjectCountRatio.score_card(TABLE["refc"], 3.0)[0].name == "object_count_ratio_20dbz"
    assert ObjectSizeRatio.score_card(TABLE["cin"], 3.0) == []
    assert ObjectSizeRatio.score_card(TABLE["t2m"], 3.0) == []
