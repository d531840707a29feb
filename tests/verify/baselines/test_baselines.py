"""The family of baselines: shapes of all, and what each one is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.conftest import HOUR, write_truth
from weatherml.errors import BadDataError
from weatherml.sources.base import SOURCES, SourceConfig
from weatherml.verify.baselines import BASELINES
from weatherml.verify.baselines.climatological_ensemble import ClimatologicalEnsembleConfig
from weatherml.verify.baselines.oracle import OracleConfig
from weatherml.verify.files.truth import Truth, open_truth

INIT = np.datetime64("2024-06-03T12:00:00", "s")
LEADS = np.array([1, 2, 25]) * HOUR
NOWCASTS = ("optical-flow", "steps")


class FakeWorld(SourceConfig):
    """Every step adds 1, every member another 10, to the state."""

    gain: float = 1.0

    def build(self, inputs: Sequence[str]) -> Any:
        assert not inputs
        return self

    def oracle(self, state: np.ndarray, init_time: np.datetime64, *, steps: int, members: int, seed: int) -> np.ndarray:
        added = self.gain * np.arange(1, steps + 1)[:, None] + 10 * np.arange(members)
        return (state + added[..., None, None, None]).astype(np.float32)


@pytest.fixture
def synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Truth:
    monkeypatch.setitem(SOURCES._members, "synthetic", FakeWorld)
    return open_truth(write_truth(tmp_path / "world.zarr", source_config={"kind": "synthetic", "gain": 2.0}))


@pytest.mark.parametrize("kind", list(BASELINES))
def test_every_baseline_reads_like_a_forecast(kind: str, synthetic: Truth) -> None:
    baseline = BASELINES[kind]().build(synthetic)
    assert baseline.name == kind
    assert baseline.variables == (["refc"] if kind in NOWCASTS else ["refc", "t2m"])
    for name in baseline.variables:
        values = baseline.read(INIT, LEADS[[0, 1]], name)
        assert values.shape == (2, baseline.members, 16, 16)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert baseline.available(np.array([INIT])).tolist() == [True]


def test_persistence_keeps_the_initial_state(synthetic: Truth) -> None:
    baseline = BASELINES["persistence"]().build(synthetic)
    state = synthetic.read(np.array([INIT]), ["t2m"])["t2m"]
    np.testing.assert_array_equal(baseline.read(INIT, LEADS, "t2m"), np.stack([state] * 3))
    before = synthetic.times[[0]] - HOUR
    assert not baseline.available(before).any()


def test_climatology_is_the_training_mean_of_the_hour(synthetic: Truth) -> None:
    baseline = BASELINES["climatology"]().build(synthetic)
    # 48 h train: each hour has two days; 12 + 1 = 13 UTC is hours 13 and 37, 25 h later the same
    expected = synthetic.read(synthetic.times[[13, 37]], ["t2m"])["t2m"].astype(float).mean(0)
    values = baseline.read(INIT, LEADS, "t2m")
    np.testing.assert_allclose(values[0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(values[2], values[0])


def test_climatology_needs_a_training_split(tmp_path: Path) -> None:
    truth = open_truth(write_truth(tmp_path / "bare.zarr", splits={}))
    with pytest.raises(BadDataError, match="no training split"):
        BASELINES["climatology"]().build(truth)


def test_climatology_of_hours_never_trained_is_refused(tmp_path: Path) -> None:
    truth = open_truth(write_truth(tmp_path / "short.zarr", hours=20))  # ten hours train
    with pytest.raises(BadDataError, match="lacks 10 of the times of day, the first at 10 h UTC"):
        BASELINES["climatology"]().build(truth)


def test_climatological_ensemble_are_training_states_of_the_hour(synthetic: Truth) -> None:
    baseline = BASELINES["climatological-ensemble"]().build(synthetic)
    assert baseline.members == 2  # two days train
    expected = synthetic.read(synthetic.times[[13, 37]], ["t2m"])["t2m"]  # 13 UTC
    values = baseline.read(INIT, LEADS, "t2m")
    np.testing.assert_array_equal(values[0], expected)
    np.testing.assert_array_equal(values[2], expected)
    # hours 0 .. 47 train: a case at hour 46 would have hour 47 among its members
    assert baseline.available(synthetic.times[[46, 47, 60]]).tolist() == [False, True, True]


def test_climatological_ensemble_is_spread_over_the_training_split(tmp_path: Path) -> None:
    truth = open_truth(write_truth(tmp_path / "long.zarr", hours=24 * 10))  # five days train
    baseline = ClimatologicalEnsembleConfig(members=3).build(truth)
    noons = baseline.times[12 * 3600]
    assert [int(hour) for hour in (noons - truth.times[0]) / HOUR] == [12, 60, 108]  # days 0, 2, 4


def test_climatological_ensemble_needs_two_days(tmp_path: Path) -> None:
    truth = open_truth(write_truth(tmp_path / "short.zarr", hours=60))  # 30 hours train
    with pytest.raises(
        BadDataError, match="climatological-ensemble: the training split has some times of day only once"
    ):
        BASELINES["climatological-ensemble"]().build(truth)


def test_oracle_draws_each_case_once_for_leads_read_in_pieces(
    synthetic: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = OracleConfig(members=3).build(synthetic)
    whole = oracle.read(INIT, LEADS, "t2m")
    calls: list[int] = []
    original = oracle.world.oracle
    monkeypatch.setattr(
        FakeWorld, "oracle", lambda self, *args, **named: (calls.append(named["steps"]), original(*args, **named))[1]
    )
    pieces = [oracle.read(INIT + HOUR, LEADS[[lead]], "t2m") for lead in range(3)]
    assert calls == [25]
    assert np.concatenate(pieces).shape == whole.shape


def test_oracle_asks_the_world(synthetic: Truth) -> None:
    oracle = OracleConfig(members=3).build(synthetic)
    state = synthetic.read(np.array([INIT]), ["t2m"])["t2m"][0]
    values = oracle.read(INIT, LEADS, "t2m")
    assert values.shape == (3, 3, 16, 16)
    # gain 2 from the dataset's source settings: lead 25 h, member 1 -> 50 + 10
    np.testing.assert_allclose(values[2, 1], state + 60, rtol=1e-6)
    with pytest.raises(BadDataError, match="not in steps"):
        oracle.read(INIT, LEADS + np.timedelta64(60, "s"), "t2m")


def test_oracle_of_anything_else_is_refused(truth_path: Path) -> None:
    with pytest.raises(BadDataError, match="source 'netcdf', whose future nobody can draw"):
        OracleConfig().build(open_truth(truth_path))
