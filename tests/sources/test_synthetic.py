"""The synthetic world: its ground, its law without hidden memory, its record and its oracle."""

from __future__ import annotations

import numpy as np
import pytest
from distributed.protocol import deserialize_bytes, serialize_bytes
from scipy.stats import chisquare

from weatherml.errors import BadDataError, ConfigError
from weatherml.sources.synthetic import Synthetic, SyntheticSource
from weatherml.sources.world.advection import advect
from weatherml.sources.world.law import CHANNELS, HOUR, NO_ECHO, step
from weatherml.sources.world.noise import correlated
from weatherml.sources.world.terrain import hrrr_crop
from weatherml.variables import TABLE

FIRST = np.datetime64("2024-06-01T00:00:00", "s")
AFTERNOON = 21  # UTC: 16 h local solar time


def record(source: SyntheticSource) -> np.ndarray:
    """(N, C, H, W), everything that the source reads."""
    return np.stack([np.stack(list(frame.values())) for frame in source.read(source.describe().times)])


@pytest.fixture(scope="module")
def world() -> SyntheticSource:
    return Synthetic(hours=240).build(())


@pytest.fixture(scope="module")
def states(world: SyntheticSource) -> np.ndarray:
    return record(world)


def test_the_description_is_a_crop_of_the_hrrr_grid(world: SyntheticSource) -> None:
    description = world.describe()
    assert tuple(v.name for v in description.variables) == CHANNELS == tuple(TABLE)
    assert len(description.times) == 240
    assert description.times[[0, -1]].tolist() == [FIRST.item(), (FIRST + 239 * HOUR).item()]
    # row 334 - 32 = 302 and column 1415 - 32 = 1383 of the full grid, 3 km apart
    assert description.grid.y[0] == pytest.approx(-1587306.1525566636 + 302 * 3000)
    assert description.grid.x[0] == pytest.approx(-2697520.142521932 + 1383 * 3000)
    assert description.grid.latlon is not None
    latitude, longitude = (degrees.mean() for degrees in description.grid.latlon)
    assert latitude == pytest.approx(32.0, abs=0.1)  # Savannah
    assert longitude == pytest.approx(-81.1, abs=0.1)


def test_the_whole_hrrr_grid_fits_and_no_more() -> None:
    grid = hrrr_crop(1059, 1799)
    assert grid.latlon is not None
    assert grid.latlon[0][0, 0] == pytest.approx(21.138123, abs=1e-5)
    assert grid.latlon[1][0, 0] == pytest.approx(-122.719528, abs=1e-5)
    assert grid.latlon[0][-1, -1] == pytest.approx(47.842195, abs=1e-4)
    with pytest.raises(ValueError, match="less than or equal to 1799"):
        Synthetic(width=1800)


@pytest.mark.parametrize("seed", range(4))
def test_the_ground_has_a_coast_and_a_ridge(seed: int) -> None:
    static = Synthetic(seed=seed, hours=1).build(()).describe().static
    orography, land = static["orography"].values, static["land_binary_mask"].values
    assert orography.dtype == land.dtype == np.float32
    assert set(np.unique(land)) == {0, 1}
    assert 0.6 < land.mean() < 0.8
    assert land[0, -1] == 0  # the sea is in the south-east
    assert land[-1, 0] == 1
    assert np.all(orography[land == 0] == 0)
    assert orography.min() >= 0
    assert 800 < orography.max() < 3000


def test_values_are_weather(states: np.ndarray) -> None:
    assert states.dtype == np.float32
    for name, values in zip(CHANNELS, np.moveaxis(states, 1, 0), strict=True):
        assert values.min() >= TABLE[name].valid_min, name
        assert values.max() <= TABLE[name].valid_max, name
    refc, t2m, d2m, *_, cape, cin = np.moveaxis(states, 1, 0)
    assert np.all(d2m <= t2m)
    assert cape.min() >= 0
    assert cin.max() <= 0
    assert np.mean(refc == NO_ECHO) > 0.8


def test_storms_come_in_the_afternoon(states: np.ndarray) -> None:
    refc = states[:, 0].reshape(10, 24, 64, 64)  # the record begins at 00 UTC
    afternoon, morning = refc[:, 21:24], refc[:, 9:15]
    assert 0.05 < np.mean(afternoon > NO_ECHO) < 0.25
    assert 0.01 < np.mean(afternoon > 30) < 0.06
    assert np.mean(morning > NO_ECHO) < 0.04


def test_land_warms_by_day_and_the_sea_hardly(world: SyntheticSource, states: np.ndarray) -> None:
    t2m = states[:, 1].reshape(10, 24, 64, 64).mean(axis=0)
    swing = t2m.max(axis=0) - t2m.min(axis=0)
    assert 9 < swing[world.ground.land_share > 0.99].mean() < 15  # an amplitude of about 6 K
    assert swing[world.ground.land_share < 0.01].mean() < 6


def test_reading_from_the_middle_gives_the_same_bytes(world: SyntheticSource, states: np.ndarray) -> None:
    times = world.describe().times[[30, 31, 50]]
    again = deserialize_bytes(serialize_bytes(world))
    for frame, expected in zip(again.read(times), states[[30, 31, 50]], strict=True):
        assert list(frame) == list(CHANNELS)
        assert np.stack(list(frame.values())).tobytes() == expected.tobytes()
    assert list(world.read(times[:0])) == []


def test_a_longer_record_begins_with_the_shorter(states: np.ndarray) -> None:
    assert np.array_equal(record(Synthetic(hours=3).build(())), states[:3])


def test_seeds_differ(states: np.ndarray) -> None:
    other = record(Synthetic(hours=2, seed=1).build(()))
    assert np.abs(other[:, 1] - states[:2, 1]).mean() > 0.5


def test_the_law_has_no_hidden_memory(world: SyntheticSource, states: np.ndarray) -> None:
    """Each hour follows from the seven stored channels of the hour before and its own noise alone."""
    spin_up, stream = 48, 1
    for hour in (1, 100, 239):
        rng = np.random.default_rng([stream, 0, hour + spin_up])
        stored = np.frombuffer(states[hour - 1].tobytes(), np.float32).reshape(7, 64, 64)
        assert np.array_equal(step(stored, FIRST + hour * HOUR, world.ground, rng), states[hour])


def test_members_step_as_they_would_alone(world: SyntheticSource, states: np.ndarray) -> None:
    together = step(states[20:23], FIRST + AFTERNOON * HOUR, world.ground, None)
    for state, stepped in zip(states[20:23], together, strict=True):
        np.testing.assert_allclose(step(state, FIRST + AFTERNOON * HOUR, world.ground, None), stepped, atol=1e-3)


def test_an_initiation_without_noise_is_the_most_likely_one(world: SyntheticSource, states: np.ndarray) -> None:
    """From a state without echo, cells with echo in the noiseless step have it in most members, the others rarely."""
    hour = 5 * 24 + AFTERNOON
    clear = states[hour].copy()
    clear[0] = NO_ECHO
    likely = step(clear, FIRST + (hour + 1) * HOUR, world.ground, None)[0] > NO_ECHO
    rng = np.random.default_rng(5)
    members = step(np.broadcast_to(clear, (200, *clear.shape)), FIRST + (hour + 1) * HOUR, world.ground, rng)
    probability = (members[:, 0] > NO_ECHO).mean(axis=0)
    assert likely.sum() > 100
    assert probability[likely].min() > 0.4  # 0.5 less three standard errors of 200 members
    assert probability[~likely].max() < 0.6


def test_advection_moves_a_plane_exactly_and_mirrors_the_outside() -> None:
    y, x = np.meshgrid(np.arange(16.0), np.arange(20.0), indexing="ij")
    moved, beyond = advect((y + 2 * x)[None], np.full((16, 20), 1.5), np.full((16, 20), -0.25))
    # the value comes from 1.5 rows below and 0.25 columns to the right
    np.testing.assert_allclose(moved[0, 2:, :-1], (y - 1.5 + 2 * (x + 0.25))[2:, :-1])
    # row 0 comes from row -1.5, the mirror image of row 1.5
    np.testing.assert_allclose(moved[0, 0, :-1], 1.5 + 2 * (x[0, :-1] + 0.25))
    np.testing.assert_allclose(beyond[:, 0], [1.5, 0.5, *[0] * 14])
    np.testing.assert_allclose(beyond[5, -1], 0.25)


def test_noise_has_the_declared_deviation_and_correlation() -> None:
    drawn = correlated(np.random.default_rng(0), (400, 48, 40), (((3.0, 2.0),), ((2.0, 0.6), (6.0, 0.8))))
    assert drawn.shape == (400, 2, 48, 40)
    # two independent parts of 0.6 and 0.8 make 1
    np.testing.assert_allclose(drawn.std(axis=(0, 2, 3)), [2.0, 1.0], rtol=0.02)
    correlation = np.mean(drawn[:, 0, :, 3:] * drawn[:, 0, :, :-3]) / 4
    assert correlation == pytest.approx(np.exp(-(3**2) / (4 * 3**2)), abs=0.02)  # exp(-d²/4l²), d = l = 3


def test_the_oracle_draws_from_the_law(world: SyntheticSource, states: np.ndarray) -> None:
    """Mean and spread of many oracle members at one step equal those of steps drawn one by one."""
    hour = 2 * 24 + AFTERNOON - 1
    valid = FIRST + (hour + 1) * HOUR
    oracle = world.oracle(states[hour], FIRST + hour * HOUR, steps=1, members=150, seed=3)[0]
    rng = np.random.default_rng(1234)
    brute = np.stack([step(states[hour], valid, world.ground, rng) for _ in range(150)])
    for channel, name in enumerate(CHANNELS):
        mine, theirs = oracle[:, channel], brute[:, channel]
        error = (mine.mean(0) - theirs.mean(0)) / np.sqrt((mine.var(0) + theirs.var(0) + 1e-6) / 150)
        assert np.sqrt(np.mean(error**2)) < 2, name  # 1 expected of independent means; fields are correlated
        assert mine.std(0).mean() == pytest.approx(theirs.std(0).mean(), rel=0.1), name


def test_the_oracle_is_reproducible_and_differs_by_seed_and_time(world: SyntheticSource, states: np.ndarray) -> None:
    time = FIRST + 20 * HOUR
    first = world.oracle(states[20], time, steps=3, members=2, seed=0)
    assert first.shape == (3, 2, 7, 64, 64)
    assert first.dtype == np.float32
    by_name = dict(zip(CHANNELS, states[20], strict=True))
    assert np.array_equal(world.oracle(by_name, time, steps=3, members=2, seed=0), first)
    assert not np.array_equal(world.oracle(states[20], time, steps=1, members=2, seed=1)[0], first[0])
    assert not np.array_equal(world.oracle(states[20], time + HOUR, steps=1, members=2, seed=0)[0], first[0])
    assert not np.array_equal(first[:, 0], first[:, 1])
    assert np.all(first[:, :, 2] <= first[:, :, 1])


def test_oracle_members_disagree_on_where_storms_are(world: SyntheticSource, states: np.ndarray) -> None:
    init = 2 * 24 + 16  # 6 h before the late afternoon
    one, other = world.oracle(states[init], FIRST + init * HOUR, steps=6, members=2, seed=0)[-1, :, 0] > NO_ECHO
    shared, either = np.sum(one & other), np.sum(one | other)
    assert either > 100
    assert 0.2 < shared / either < 0.9


def test_the_truth_is_one_of_the_oracles_members(world: SyntheticSource, states: np.ndarray) -> None:
    """The rank of the truth among nine members after one step is uniform; points are thinned to be independent."""
    members, ranks = 9, {name: np.zeros(10) for name in CHANNELS}
    tie_breaker = np.random.default_rng(0)
    for hour in range(0, 239, 2):
        drawn = world.oracle(states[hour], FIRST + hour * HOUR, steps=1, members=members, seed=11)[0]
        for channel, name in enumerate(CHANNELS):
            all_ten = np.concatenate([states[hour + 1][None, channel], drawn[:, channel]])[:, 8::24, 8::24]
            shuffled = all_ten + 1e-4 * tie_breaker.random(all_ten.shape)
            rank = (shuffled[1:] < shuffled[0]).sum(axis=0)
            ranks[name] += np.bincount(rank.ravel(), minlength=members + 1)
    for name, counts in ranks.items():
        assert counts.sum() == 120 * 9
        assert chisquare(counts).pvalue > 0.001, (name, counts)


def test_a_subset_of_channels_in_any_order() -> None:
    subset = Synthetic(hours=2, variables={"cape": {}, "t2m": {"thresholds": [300.0]}}).build(())
    cape, t2m = subset.describe().variables
    assert (cape.name, t2m.name, t2m.thresholds) == ("cape", "t2m", (300.0,))
    (frame,) = subset.read(subset.describe().times[1:])
    assert list(frame) == ["cape", "t2m"]
    with pytest.raises(BadDataError, match=r"refc, d2m.*all seven"):
        subset.oracle(frame, FIRST, steps=1, members=1, seed=0)


def test_the_oracle_keeps_the_order_of_the_variables(states: np.ndarray) -> None:
    backward = Synthetic(hours=2, variables={name: {} for name in reversed(CHANNELS)}).build(())
    forward = Synthetic(hours=2).build(())
    options = {"steps": 1, "members": 1, "seed": 0}
    mine = backward.oracle(states[0][::-1], FIRST, **options)
    assert np.array_equal(mine[:, :, ::-1], forward.oracle(states[0], FIRST, **options))


def test_start_and_end_narrow_the_record() -> None:
    world = Synthetic(hours=48, start="2024-06-01T05:00Z", end="2024-06-01T10:00+02:00").build(())
    assert world.describe().times.tolist() == (FIRST + np.arange(5, 9) * HOUR).tolist()


def test_another_first_time_has_other_daylight() -> None:
    noon = Synthetic(hours=1, first_time="2024-12-21T17:00Z").build(())
    assert noon.describe().times[0] == np.datetime64("2024-12-21T17:00:00")
    winter = record(noon)[0, 1]
    summer = record(Synthetic(hours=1, first_time="2024-06-21T17:00Z").build(()))[0, 1]
    assert (summer - winter)[noon.ground.land == 1].mean() > 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variables": {"cap": {}}}, "did you mean 'cape'"),
        ({"variables": {"cape": {"unit": "J"}}}, r"variables\.cape\.unit: unknown key; did you mean 'units'"),
        ({"start": "yesterday"}, "start: 'yesterday' is not an ISO 8601 time"),
        ({"first_time": "June"}, "first_time: 'June' is not an ISO 8601 time"),
        ({"start": "2025-01-01"}, "no hour from 2024-06-01T00:00:00 to"),
    ],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Synthetic(**settings)


def test_inputs_are_refused() -> None:
    with pytest.raises(ConfigError, match="files: the synthetic world reads no input; leave --input out"):
        Synthetic().build(["files"])


def test_a_state_with_holes_or_of_another_grid_is_refused(world: SyntheticSource, states: np.ndarray) -> None:
    hole = states[0].copy()
    hole[1, 3, 3] = np.nan
    for bad in (hole, states[0, :, :32]):
        with pytest.raises(BadDataError, match="2024-06-01T00:00:00: the state has shape"):
            world.oracle(bad, FIRST, steps=1, members=1, seed=0)
