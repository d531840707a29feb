"""The worlds' laws are what they say, so that an oracle's score is the attainable one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from benchmarks.worlds import HOUR, START, WORLDS, World, advect, eight, memory_of, write_oracle, write_world
from weatherml.config import parse_member
from weatherml.data.prepare import prepare
from weatherml.files import read_json
from weatherml.sources import SOURCES
from weatherml.verify import evaluate

SHAPE = (16, 24)


@pytest.fixture(name="fields", scope="module", params=WORLDS)
def _fields(request: pytest.FixtureRequest) -> tuple[str, np.ndarray]:
    return request.param, WORLDS[request.param].simulate(240, np.random.default_rng(1), SHAPE)


def test_advection_is_periodic_and_exact_for_waves() -> None:
    fields = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(advect(fields, 3, -30), np.roll(fields, (3, -30), (-2, -1)), atol=1e-5)
    phase = 2 * np.pi * np.arange(SHAPE[1]) / SHAPE[1]
    wave, moved = (np.broadcast_to(np.sin(p), (1, *SHAPE)).astype(np.float32) for p in (phase, phase - phase[1] / 2))
    np.testing.assert_allclose(advect(wave, 0.0, 0.5), moved, atol=1e-3)  # half a cell of a long wave
    shift = np.array([0.0, 1.0])[:, None, None]  # each channel has its own
    np.testing.assert_allclose(advect(fields, shift, 0.0)[1], np.roll(fields[1], 1, 0), atol=1e-5)


def test_forcing_keeps_the_variance() -> None:
    left, forcing = memory_of([2.0])
    assert left.item() == pytest.approx(0.6065, abs=1e-4)  # exp(-1 / 2)
    assert forcing.item() == pytest.approx(0.7951, abs=1e-4)  # sqrt(1 - exp(-1))


def test_a_step_from_rest_is_the_forcing() -> None:
    noise = np.random.default_rng(0).standard_normal((8, *SHAPE)).astype(np.float32)
    stepped = eight(np.zeros((1, 8, *SHAPE), np.float32), noise)
    np.testing.assert_allclose(stepped[0], 0.79506 * noise[0], rtol=1e-4)  # memory of 2 steps, as above
    np.testing.assert_allclose(stepped[1], 0.14072 * noise[1], rtol=1e-4)  # of 100: sqrt(1 - exp(-2 / 100))


def test_standard_values_and_back(fields: tuple[str, np.ndarray]) -> None:
    name, states = fields
    for c, channel in enumerate(WORLDS[name].channels):
        values = states[:, c].astype(float)
        np.testing.assert_allclose(channel.physical(channel.standard(values)), values, rtol=1e-9, atol=1e-12)


def test_the_truth_is_one_of_the_oracles_members(fields: tuple[str, np.ndarray]) -> None:
    name, states = fields
    world, rng = WORLDS[name], np.random.default_rng(2)
    ranks = []
    for time in range(10, 236, 2):  # forecasts of two steps that do not overlap: their ranks are independent
        history, truth = states[time - world.memory + 1 : time + 1], states[time + 1 : time + 3]
        drawn = world.oracle(history, steps=2, members=7, rng=rng)
        assert drawn.shape == (2, 7, len(world.channels), *SHAPE)
        members, known = drawn[..., 0, 0], truth[:, None, :, 0, 0]  # points of one field are not
        chance = rng.uniform(0, 1, known[:, 0].shape) * ((members == known).sum(1) + 1)
        ranks.append((members < known).sum(1) + chance.astype(int))
    for c, channel in enumerate(world.channels):
        for step in range(2):
            counts = np.bincount(np.array(ranks)[:, step, c], minlength=8)
            assert chisquare(counts).pvalue > 1e-3, (channel.name, step)


def test_the_worlds_are_as_unlike_as_they_say() -> None:
    rng = np.random.default_rng(3)
    instability, rain = np.moveaxis(WORLDS["skewed"].simulate(200, rng), 1, 0)[2:]
    assert 0.5 < (rain == 0).mean() < 0.8
    assert instability.max() / instability.min() > 1e3
    change = np.diff(WORLDS["eight"].simulate(200, rng), axis=0).std((0, 2, 3))
    assert change.max() / change.min() > 1e9  # J m-2 beside s-1 and kg kg-1


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_a_world_stays_as_it_is(world: World) -> None:
    """On the benchmark's own grid: the longer waves of it carry further."""
    states = world.simulate(300, np.random.default_rng(3))
    for c, channel in enumerate(world.channels):
        z = channel.standard(states[:, c].astype(float))
        assert np.abs(z).max() < 20, channel.name
        assert 0.7 < z[:150].std() / z[150:].std() < 1.4, channel.name


def test_one_seed_is_one_world() -> None:
    first, second, other = (WORLDS["waves"].simulate(3, np.random.default_rng(seed), SHAPE) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0


def test_files_go_through_prepare_and_evaluate(tmp_path: Path) -> None:
    world, rng = WORLDS["skewed"], np.random.default_rng(4)
    states = world.simulate(80, rng, SHAPE)
    write_world(world, states, tmp_path)
    inits = np.array([70, 74])
    write_oracle(world, states, inits, tmp_path / "oracle.nc", steps=3, members=4, rng=rng)
    settings = yaml.safe_load((tmp_path / "prepare.yaml").read_text())
    config = parse_member(SOURCES, {"kind": "netcdf", **settings}, at="source")
    dataset = prepare(config, [str(tmp_path / "world.nc")], tmp_path / "data.zarr")
    assert [variable.transform for variable in dataset.variables] == ["none", "none", "log1p", "log1p"]
    assert dataset.times[70] == START + 70 * HOUR
    result = evaluate([tmp_path / "oracle.nc"], dataset.path, baselines=["persistence"], output=tmp_path / "scores")
    scores = read_json(result.scores)["forecasts"]
    for name in world.variables:
        first, persisted = (scores[forecast][name]["crps"]["value"][0] for forecast in ("oracle", "persistence"))
        assert first < persisted
