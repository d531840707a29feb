"""What the benchmark of scores clocks is what the metrics give."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
import torch

from weatherml.metrics.crps import CRPS


def test_a_clocked_metric_is_the_metric() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pysteps warns of its optional parts when imported
        scores = pytest.importorskip("benchmarks.scores")
    seconds: Counter[str] = Counter()
    clocked = scores.Clocked(CRPS(), "refc", seconds)
    fields = torch.rand(1, 4, 9, 8), torch.rand(1, 9, 8), torch.ones(1, 9, 8, dtype=torch.bool), torch.ones(9)
    expected = CRPS().statistics(*fields)
    found = clocked.statistics(*fields)
    assert {name: sums.tolist() for name, sums in found.items()} == {name: s.tolist() for name, s in expected.items()}
    assert set(seconds) == {"crps", "refc"}
    assert (clocked.name, clocked.by_condition) == ("crps", True)
