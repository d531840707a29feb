"""The simulated forest is what it says, and the scores are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.forest_world import Forest, simulate
from benchmarks.forests import best_threshold, ndvi, scores
from benchmarks.segment_inference import SEQUENCE_FLOP
from weatherml.config import parse
from weatherml.sources.patches import Patches


@pytest.fixture(name="world", scope="module")
def _world() -> Forest:
    return simulate((128, 256), dates=12, seed=3)


def test_clearings_stay_and_darken_the_near_infrared(world: Forest) -> None:
    label = world.label
    assert (label[1:] >= label[:-1]).all()
    assert 0.01 < label[-1].mean() - label[0].mean() < 0.4
    before, after = (ndvi({"red": world.bands[t, ..., 2], "nir": world.bands[t, ..., 3]}) for t in (0, -1))
    clear = ~(world.cloud[0] | world.cloud[-1])
    became = label[-1] & ~label[0]
    fall = before - after
    assert fall[clear & became].mean() > fall[clear & ~became].mean() + 0.2


def test_one_seed_is_one_world(world: Forest) -> None:
    again = simulate((128, 256), dates=12, seed=3)
    np.testing.assert_array_equal(world.bands, again.bands)
    assert np.abs(simulate((128, 256), dates=12, seed=4).bands - world.bands).max() > 0


def test_the_file_goes_through_prepare(world: Forest, tmp_path: Path) -> None:
    world.save(tmp_path / "forest.npz")
    settings = {"size": 32, "stride": 32, "label": {"change": True}, "min_clear": 0.5}
    found = parse(Patches, settings).build([str(tmp_path / "forest.npz")])
    assert set(np.unique(found.part)) == {-1, 0, 1, 2}
    assert min(np.nanmin(found.values[name]) for name in ("blue", "green", "red", "nir")) >= 0


def test_scores_by_hand() -> None:
    score, label = np.array([0.9, 0.8, 0.7, 0.1, 0.0]), np.array([1, 0, 1, 0, 0], bool)
    # F1 of the first 1, 2, 3, ...: 2/3, 2/4, 4/5, 4/6, 4/7
    assert best_threshold((score, label)) == 0.7
    found = scores((score, label), 0.7)
    assert (found["precision"], found["recall"], found["f1"]) == (0.6667, 1.0, 0.8)
    assert (found["base_rate"], found["accuracy"]) == (0.4, 0.8)


def test_the_count_of_operations() -> None:
    # 3 steps, 4096 pixels, 9 points of a kernel: (36 x 128 + 96 x 256) products and as many sums
    assert SEQUENCE_FLOP == 2 * 3 * 4096 * 9 * (4608 + 24576) == 6_455_033_856
