"""Nowcasts of a blob that moves: better than persistence, from the past alone, and quiet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.errors import BadDataError, UsageError
from weatherml.grid import Grid
from weatherml.variables import TABLE, Variable
from weatherml.verify.baselines.base import Baseline
from weatherml.verify.baselines.decibels import decibels
from weatherml.verify.baselines.nowcast import extrapolate, filled
from weatherml.verify.baselines.optical_flow import OpticalFlowConfig
from weatherml.verify.baselines.steps import StepsConfig
from weatherml.verify.files.truth import Truth

pytest.importorskip("cv2")
transformation = pytest.importorskip("pysteps.utils.transformation")

MINUTE = np.timedelta64(60, "s")
STEP = 10 * MINUTE
START = np.datetime64("2024-06-01T00:00:00", "s")
TIMES = START + STEP * np.arange(8)
INIT = TIMES[3]
LEADS = STEP * np.arange(1, 4)
SIZE = 40
RAIN = Variable(name="rain", units="mm/h", valid_min=0.0)
Fields = dict[str, np.ndarray]


def blobs(steps: np.ndarray) -> np.ndarray:
    """(T, SIZE, SIZE) from 0 to 1: two blobs, two columns and a row further with each step."""
    y, x = np.mgrid[:SIZE, :SIZE]
    t = steps[:, None, None]
    return sum(np.exp(-((x - x0 - 2 * t) ** 2 + (y - y0 - t) ** 2) / 40) for x0, y0 in ((8, 8), (14, 20)))


def world(variables: tuple[Variable, ...] = (TABLE["refc"],), **changed: Any) -> Truth:
    """A truth in memory; reflectivity to 45 dBZ, none under 10, any other variable to 20 of its units."""
    shape = blobs(np.arange(len(TIMES)))
    echo = np.where(shape > 20 / 55, 55 * shape - 10, -10)
    fields = {v.name: echo if v.units == "dBZ" else shape * 20 for v in variables}
    y = x = np.arange(SIZE) * 2000.0
    arrays = {name: (("time", "y", "x"), values.astype(np.float32)) for name, values in fields.items()}
    dataset = xr.Dataset(arrays, {"time": TIMES.astype("datetime64[ns]"), "y": y, "x": x}).isel(changed)
    return Truth(
        path=Path("world.zarr"),
        dataset=dataset,
        grid=Grid(kind="projected", y=y, x=x),
        variables={variable.name: variable for variable in variables},
        times=dataset["time"].values.astype("datetime64[s]"),
    )


def error(forecast: np.ndarray, truth: Truth, name: str = "refc") -> np.ndarray:
    """(L,) mean absolute error of the members' mean."""
    return np.abs(forecast.mean(1) - truth.read(INIT + LEADS, [name])[name]).mean((1, 2))


def still(truth: Truth, name: str = "refc") -> np.ndarray:
    """(L, 1, SIZE, SIZE) persistence."""
    return np.repeat(truth.read(np.array([INIT]), [name])[name][None], len(LEADS), 0)


@pytest.fixture(params=[OpticalFlowConfig(), StepsConfig(members=4)], ids=lambda config: config.kind)
def nowcast(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("variable", [TABLE["refc"], RAIN], ids=lambda variable: variable.units)
def test_what_moves_is_forecast_better_than_by_persistence(nowcast: Any, variable: Variable) -> None:
    truth = world((variable,))
    forecast = nowcast.build(truth).read(INIT, LEADS, variable.name)
    gain = error(forecast, truth, variable.name) / error(still(truth, variable.name), truth, variable.name)
    assert (gain < 0.6).all(), gain


def test_members_differ_around_the_optical_flow() -> None:
    truth = world()
    members = StepsConfig(members=8).build(truth).read(INIT, LEADS, "refc")
    flow = OpticalFlowConfig().build(truth).read(INIT, LEADS, "refc")
    assert np.diff(members, axis=1).std() > 1  # dB
    near = np.abs(members.mean(1) - flow[:, 0]).mean((1, 2))
    assert (near < 0.7 * np.abs(still(truth)[:, 0] - flow[:, 0]).mean((1, 2))).all(), near


def test_a_case_has_its_own_draw_and_always_the_same() -> None:
    steps = StepsConfig(members=2)
    one, again, other = (
        config.build(world()).read(INIT, LEADS, "refc") for config in (steps, steps, StepsConfig(members=2, seed=1))
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 1
    baseline = steps.build(world())
    later = baseline.read(TIMES[4], LEADS, "refc")
    assert np.abs(later - one).mean() > 1
    np.testing.assert_array_equal(baseline.read(INIT, LEADS, "refc"), one)  # whatever came before


def test_nothing_but_the_last_frames_is_read(nowcast: Any) -> None:
    truth, spoilt = world(), world()
    spoilt.dataset["refc"][4:] = np.nan
    spoilt.dataset["refc"][:1] = np.nan  # frames 1, 2 and 3 are the three up to INIT
    np.testing.assert_array_equal(*(nowcast.build(each).read(INIT, LEADS, "refc") for each in (truth, spoilt)))


def test_it_starts_only_where_all_frames_are(nowcast: Any) -> None:
    gap = world(time=[0, 1, 2, 4, 5, 6, 7])
    # time 3 is not there: 2 has 0, 1, 2; 4 and 5 want 3; 6 has 4, 5, 6
    assert nowcast.build(gap).available(TIMES).tolist() == [False, False, True, False, False, False, True, True]


def test_leads_read_in_turn_are_drawn_once(nowcast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = world()
    whole = nowcast.build(truth).read(INIT, LEADS, "refc")
    baseline: Baseline = nowcast.build(truth)
    baseline.read(TIMES[2], LEADS, "refc")  # so far any case reaches
    reads: list[np.ndarray] = []
    original = Truth.read

    def counted(self: Truth, times: np.ndarray, names: list[str]) -> Fields:
        reads.append(times)
        return original(self, times, names)

    monkeypatch.setattr(Truth, "read", counted)
    pieces = [baseline.read(INIT, LEADS[[lead]], "refc") for lead in range(3)]
    assert len(reads) == 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    with pytest.raises(BadDataError, match=f"not in steps of the truth's 600 s; leave out the baseline {nowcast.kind}"):
        baseline.read(INIT, LEADS + MINUTE, "refc")


def test_air_from_outside_keeps_the_initial_field() -> None:
    field = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    velocity = np.stack([np.ones((3, 4)), np.zeros((3, 4))])  # a column to the right each step
    carried = extrapolate(field, velocity, 2)
    # row 0 is 0 1 2 3: after a step - 0 1 2, after two - - 0 1
    np.testing.assert_allclose(carried[:, 0], [[np.nan, 0, 1, 2], [np.nan, np.nan, 0, 1]])
    np.testing.assert_allclose(filled(carried, field)[:, 0], [[0, 0, 1, 2], [0, 1, 0, 1]])


def test_without_rain_all_members_stay_dry(nowcast: Any) -> None:
    truth = world()
    truth.dataset["refc"][:] = -10
    np.testing.assert_array_equal(nowcast.build(truth).read(INIT, LEADS, "refc"), -10)
    truth.dataset["refc"][:] = np.nan
    assert np.isnan(nowcast.build(truth).read(TIMES[4], LEADS, "refc")).all()


def test_rain_that_has_just_begun_is_carried_along() -> None:
    truth = world()
    truth.dataset["refc"][1] = -10
    members = StepsConfig(members=2).build(truth).read(INIT, LEADS, "refc")
    np.testing.assert_array_equal(members[:, 0], members[:, 1])
    assert members.max() > 30


def test_which_variables(nowcast: Any) -> None:
    both = world((TABLE["t2m"], RAIN, TABLE["refc"]))
    assert nowcast.build(both).variables == ["rain", "refc"]
    assert type(nowcast)(variables=("refc",)).build(both).variables == ["refc"]
    with pytest.raises(BadDataError, match=r"no variable in dBZ or a rate of precipitation"):
        nowcast.build(world((TABLE["t2m"],)))
    with pytest.raises(BadDataError, match=r"no variable reefc; did you mean 'refc'\?"):
        type(nowcast)(variables=("reefc",)).build(both)
    assert OpticalFlowConfig(variables=("t2m",)).build(both).read(INIT, LEADS, "t2m").shape == (3, 1, SIZE, SIZE)
    with pytest.raises(BadDataError, match="t2m is in K, not dBZ or a rate of rain"):
        StepsConfig(variables=("t2m",)).build(both)


def test_decibels_are_those_of_pysteps() -> None:
    scale = decibels(RAIN)
    assert scale is not None
    rates = np.array([0, 0.09, 0.1, 1, 25, np.nan])
    expected, _ = transformation.dB_transform(rates[:5], threshold=0.1, zerovalue=-15.0)
    np.testing.assert_allclose(scale.encode(rates), [*expected, np.nan])
    np.testing.assert_allclose(scale.decode(scale.encode(rates)), [0, 0, 0.1, 1, 25, np.nan], rtol=1e-6)


def test_decibels_of_reflectivity_and_of_other_units() -> None:
    scale = decibels(TABLE["refc"])
    assert scale is not None
    assert scale.threshold == pytest.approx(7.0103)  # 10 log10(200 * 0.1 ** 1.6) = 23.0103 - 16
    np.testing.assert_allclose(scale.encode(np.array([-10, 7.0, 7.5, 60])), [2.0103, 2.0103, 7.5, 60], rtol=1e-5)
    np.testing.assert_allclose(scale.decode(np.array([2.0103, 7.5, 60])), [-10, 7.5, 60])
    flux = decibels(Variable(name="pr", units="kg m-2 s-1"))
    assert flux is not None
    np.testing.assert_allclose(flux.encode(np.array([1 / 3600])), [0], atol=1e-9)  # 1 mm/h is 0 dB
    assert decibels(TABLE["cape"]) is None


def test_nothing_is_printed(nowcast: Any, capfd: pytest.CaptureFixture[str]) -> None:
    nowcast.build(world()).read(INIT, LEADS, "refc")
    assert capfd.readouterr() == ("", "")


def test_without_pysteps_one_line_says_what_to_install(nowcast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysteps", None)
    line = rf"baseline {nowcast.kind}: needs pysteps .*; pip install 'weatherml\[nowcast\]'"
    with pytest.raises(UsageError, match=line):
        nowcast.build(world())
