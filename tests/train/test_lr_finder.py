"""The range test: it finds the slope and the cliff, and leaves nothing behind."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from weatherml.errors import ConfigError, WMLError
from weatherml.run.experiment import resolve
from weatherml.train.lr_finder import RateSweep, find_rate, smoothed, sweep

RATES = np.geomspace(1e-6, 1.0, 121)  # 20 a decade


def cliff(steepest: float, edge: float) -> RateSweep:
    """A loss that falls from 2 to 1 about `steepest`, and multiplies by 100 a decade beyond `edge`."""

    def loss(rate: float) -> float:
        fallen = 1 / (1 + math.exp(-6 * math.log10(rate / steepest)))
        return 2 - fallen + max(0.0, (rate / edge) ** 2 - 1)

    return sweep(loss, RATES)


@pytest.mark.parametrize(("steepest", "edge", "expected"), [(1e-4, 1e-1, 1e-4), (1e-2, 3e-2, None)])
def test_the_steepest_descent_but_well_before_the_cliff(steepest: float, edge: float, expected: float | None) -> None:
    found = cliff(steepest, edge)
    assert found.breaks_at is not None
    assert edge < found.breaks_at < 10 * edge
    wanted = expected or found.breaks_at / 10
    assert found.suggested == pytest.approx(wanted, rel=0.15)  # a step of the sweep is 12 %
    assert found.losses.max() < 100


def test_a_loss_that_never_breaks_has_no_cliff() -> None:
    found = cliff(1e-3, 1e3)
    assert found.breaks_at is None
    assert len(found.rates) == len(RATES)
    assert found.suggested == pytest.approx(1e-3, rel=0.15)


def test_a_loss_that_is_not_finite_ends_the_sweep() -> None:
    found = sweep(lambda rate: 1 - rate if rate < 1e-2 else math.nan, RATES)
    assert np.isfinite(found.losses).all()
    assert found.breaks_at == found.rates[-1] < 1e-2


def test_nothing_falls() -> None:
    for loss in (lambda rate: 1 + rate, lambda rate: math.nan):
        with pytest.raises(WMLError, match="lowers the loss"):
            _ = sweep(loss, RATES).suggested


def test_smoothing_keeps_a_line_and_does_not_lag() -> None:
    line = np.arange(60.0)
    np.testing.assert_allclose(smoothed(line)[25:35], line[25:35], atol=1e-2)
    np.testing.assert_allclose(smoothed(np.ones(5)), np.ones(5))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_real_sweep_leaves_no_run(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["model.base_features=16", "model.depth=1", "model.blocks=1", "train.batch=2", "train.accumulate=2"]
    experiment = resolve(None, assignments=[*settings, f"train.optimizer={optimizer}"])
    found = find_rate(experiment, small_dataset, device="cpu", steps=40)
    assert list(tmp_path.iterdir()) == []
    assert found.losses.min() < 0.9 * found.losses[0]
    assert 1e-5 < found.suggested < 0.1
    found.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "lr_finder.json").read_text())
    assert saved["suggested"] == found.suggested
    assert len(saved["rates"]) == len(saved["losses"]) == len(found.rates)
    assert (tmp_path / "out" / "lr_finder.png").read_bytes().startswith(b"\x89PNG")
    assert len(found.table()) <= 10


def test_a_model_that_takes_no_steps_needs_no_rate(small_dataset: Path) -> None:
    with pytest.raises(ConfigError, match="takes no optimizer's steps"):
        find_rate(resolve(None, model="persistence"), small_dataset)
