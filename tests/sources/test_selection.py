"""Region, thinning, months, hours of the day, derived variables and projection fields, for every gridded source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed.protocol import deserialize_bytes, serialize_bytes
from utah_archive import AFTER, write_hour

from weatherml.config import parse, parse_member
from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.sources import SOURCES
from weatherml.sources.base import Frame, Source, SourceConfig
from weatherml.sources.derived import derived_variables
from weatherml.sources.geometry import PROJECTION_FIELDS
from weatherml.sources.netcdf import NetCDF
from weatherml.sources.region import Region, box
from weatherml.sources.selection import Selection
from weatherml.sources.synthetic import Synthetic

Archive = tuple[dict[str, Any], list[str]]
"""Settings of a source, and its inputs."""

GRIDDED = [name for name in SOURCES if issubclass(SOURCES[name], SourceConfig)]
ROWS, COLUMNS = (20, 71), (4, 39)
PART = np.s_[20:71:3, 4:39:3]
SELECTED = {"region": {"rows": list(ROWS), "columns": list(COLUMNS)}, "thin": 3}


@pytest.fixture(scope="module")
def archives(
    shared_data: Path, write_netcdf: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Archive]:
    """A few hours for each source, on at least 78 x 41 points."""
    utah = tmp_path_factory.mktemp("utah")
    write_hour(utah, AFTER, "<f4", slice(0, 1059), slice(0, 1799))
    times = {"start": str(AFTER), "end": str(AFTER)}
    return {
        "hrrr": ({}, [str(shared_data / "hrrr_smrf_rme/hrrr.20180722/hrrr.t0[0-2]z.wrfsfcf01.grib2")]),
        "hrrrzarr": (times, [str(utah)]),
        "netcdf": ({}, [str(write_netcdf(tmp_path_factory.mktemp("netcdf") / "a.nc", hours=3, shape=(80, 50)))]),
        "synthetic": ({"hours": 3, "height": 80, "width": 50}, []),
    }


def opened(archive: Archive, kind: str, **settings: Any) -> Selection:
    config = parse_member(SOURCES, {"kind": kind, **archive[0], **settings}, at=kind)
    assert parse_member(SOURCES, config.settings(), at=kind) == config  # a dataset's record opens the same source
    source = config.open(archive[1])
    assert isinstance(source, Selection)
    return source


@pytest.fixture(scope="module", params=GRIDDED)
def kind(request: pytest.FixtureRequest) -> str:
    """Each gridded source: one that is new needs an archive above."""
    return str(request.param)


@pytest.fixture(scope="module")
def whole(kind: str, archives: dict[str, Archive]) -> Selection:
    """All of an archive, three variables of it."""
    return opened(archives[kind], kind, variables={"u10": {}, "v10": {}, "t2m": {}})


@pytest.fixture(scope="module")
def part(kind: str, archives: dict[str, Archive]) -> Selection:
    """Part of it, with derived variables, some of whose inputs are not stored."""
    warm = {"formula": "where(t2m > 280, t2m - 280, 0)", "units": "K", "valid_min": 0}
    variables = {"wind_speed": {"thresholds": [20]}, "t2m": {}, "warm": warm}
    return opened(archives[kind], kind, variables=variables, **SELECTED)


def frame(source: Source) -> Frame:
    """The first frame, as a worker reads it."""
    first = source.describe().times[0]
    sent = deserialize_bytes(serialize_bytes(source.narrowed(first)))
    return next(iter(sent.read(np.array([first]))))


def test_a_part_is_the_same_part_of_the_whole(whole: Selection, part: Selection) -> None:
    all_of_it, cut = whole.describe(), part.describe()
    assert cut.grid.shape == (17, 12)  # rows 20, 23 .. 68; columns 4, 7 .. 37
    assert cut.grid.digest == all_of_it.grid.crop(*PART).digest
    assert cut.grid.latlon is not None
    assert all_of_it.grid.latlon is not None
    for mine, theirs in zip(cut.grid.latlon, all_of_it.grid.latlon, strict=True):
        np.testing.assert_allclose(mine, theirs[PART], atol=1e-9)
    np.testing.assert_array_equal(cut.times, all_of_it.times)
    assert cut.step == all_of_it.step
    assert {"orography", *PROJECTION_FIELDS} <= set(cut.static) == set(all_of_it.static)
    for name, static in cut.static.items():
        np.testing.assert_allclose(static.values, all_of_it.static[name].values[PART], rtol=1e-6)


def test_derived_variables_of_a_part(whole: Selection, part: Selection) -> None:
    fields, derived = frame(whole), frame(part)
    assert list(derived) == ["wind_speed", "t2m", "warm"]  # u10 and v10 are read, and not stored
    assert {(values.shape, values.dtype.str) for values in derived.values()} == {((17, 12), "<f4")}
    np.testing.assert_array_equal(derived["t2m"], fields["t2m"][PART])
    np.testing.assert_allclose(derived["wind_speed"], np.hypot(fields["u10"], fields["v10"])[PART], rtol=1e-6)
    np.testing.assert_allclose(derived["warm"], np.maximum(fields["t2m"][PART] - 280, 0), atol=1e-4)
    wind_speed, *others = part.describe().variables
    assert (wind_speed.standard_name, wind_speed.thresholds) == ("wind_speed", (20.0,))
    assert wind_speed.formula == "sqrt(u10**2 + v10**2)"
    assert [variable.name for variable in others] == ["t2m", "warm"]
    assert (part.isolated, part.threads) == (whole.source.isolated, whole.source.threads)


def test_off_the_grid_is_known_before_anything_is_read(whole: Selection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(whole.source), "read", None)
    monkeypatch.setattr(NetCDF, "build", lambda self, inputs: whole.source)
    with pytest.raises(ConfigError, match=r"region: rows 0 to 4999, columns 0 to \d+ exceed the grid of \d+ x \d+"):
        NetCDF(region={"rows": [0, 5000]}).open([])


def test_what_is_named_must_be_there(whole: Selection) -> None:
    gusty = derived_variables({"x": {"formula": "t2m * gusts", "units": "1"}})
    with pytest.raises(ConfigError, match=r"variables\.x\.formula: the archive gives no 'gusts'; known: t2m, u10"):
        Selection.of(whole.source, gusty, None)
    with pytest.raises(ConfigError, match=r"stored: the archive gives no 't3m'; did you mean 't2m'"):
        Selection.of(whole.source, (), ["t3m"])
    again = derived_variables({"t2m": {"formula": "u10 + v10", "units": "1"}})
    with pytest.raises(ConfigError, match=r"variables\.t2m: the archive has one of that name"):
        Selection.of(whole.source, again, None)


GLOBE = Grid("latlon", np.arange(60.0, -61, -10), np.arange(0.0, 360, 10))
LAMBERT = Grid(
    "projected",
    3000.0 * np.arange(100),
    3000.0 * np.arange(80),
    {
        "grid_mapping_name": "lambert_conformal_conic",
        "latitude_of_projection_origin": 38.5,
        "longitude_of_central_meridian": -97.5,
        "standard_parallel": [38.5, 38.5],
        "earth_radius": 6371229.0,
    },
)


@pytest.mark.parametrize(
    ("degrees", "rows", "columns"),
    [
        # rows from 60 N every 10 degrees: 30 N is row 3, 0 is row 6
        ({"south": 0, "north": 30, "west": 100, "east": 120}, (3, 7), (10, 13)),
        ({"south": 1, "north": 29, "west": 91, "east": 119}, (4, 6), (10, 12)),
        ({"south": -60, "north": -60, "west": -170, "east": -160}, (12, 13), (19, 21)),
        ({"south": 0, "north": 0, "west": 170, "east": -170}, (6, 7), (17, 20)),  # across the date line
        ({"south": 0, "north": 0, "west": -180, "east": 180}, (6, 7), (0, 36)),  # once round
        ({"south": 0, "north": 0, "west": -10, "east": 10}, (6, 7), (0, 36)),  # 350 and 0, 10: ends of the grid
    ],
)
def test_degrees_on_a_globe(degrees: dict[str, float], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    assert Region(**degrees).box(GLOBE) == (slice(*rows), slice(*columns))


def test_degrees_on_a_projection_hold_every_point_inside_and_no_needless_row() -> None:
    degrees = {"south": 38.9, "north": 40.1, "west": 263.0, "east": -95.6}  # 263 is 97 W
    rows, columns = Region(**degrees).box(LAMBERT)
    assert LAMBERT.latlon is not None
    latitude, longitude = LAMBERT.latlon
    inside = (latitude >= 38.9) & (latitude <= 40.1) & (longitude >= -97.0) & (longitude <= -95.6)
    kept = np.zeros_like(inside)
    kept[rows, columns] = True
    assert not (inside & ~kept).any()
    assert inside[rows, columns].any(axis=0)[[0, -1]].all()
    assert inside[rows, columns].any(axis=1)[[0, -1]].all()
    assert 0 < rows.start < rows.stop < 100


def test_thinning_alone_keeps_the_first_point() -> None:
    rows, columns = box(GLOBE, None, thin=4)
    thin = GLOBE.crop(rows, columns)
    np.testing.assert_array_equal(thin.y, [60, 20, -20, -60])
    np.testing.assert_array_equal(thin.x, np.arange(0, 360, 40))
    assert thin.periodic_x


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({}, "region: give rows and columns, or all of south, north, west and east"),
        ({"rows": [0, 5], "south": 10}, "region: give rows and columns, or all of"),
        ({"south": 10, "north": 20, "west": 5}, "region: give rows and columns, or all of"),
        ({"rows": [5, 5]}, "region: rows ends where it begins"),
        ({"rows": [-1, 5]}, r"region\.rows\.0: Input should be greater than or equal to 0"),
        ({"south": 20, "north": 10, "west": 5, "east": 6}, "region: south lies north of north"),
        ({"south": 20, "north": 100, "west": 5, "east": 6}, r"region\.north: "),
        ({"lows": [0, 5]}, r"region\.lows: unknown key; did you mean 'rows'"),
    ],
)
def test_regions_that_cannot_be(region: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(SOURCES["netcdf"], {"region": region})


def test_a_region_between_the_points_or_on_a_grid_without_a_place() -> None:
    nowhere = Region(south=1, north=2, west=1, east=2)
    with pytest.raises(ConfigError, match=r"region: no grid point in 1 to 2 N, 1 to 2 E; the grid has -60 to 60 N"):
        nowhere.box(GLOBE)
    with pytest.raises(ConfigError, match="region: the grid knows no latitude and longitude; give rows and columns"):
        nowhere.box(Grid("index", np.arange(3.0), np.arange(4.0)))


YEAR = np.datetime64("2024-01-01T00:00", "s") + np.arange(366 * 24) * np.timedelta64(3600, "s")


def within(**settings: Any) -> np.ndarray:
    return parse(SOURCES["netcdf"], settings).within(YEAR)  # type: ignore[no-any-return,attr-defined]


def test_months_and_hours_of_the_day() -> None:
    assert len(within(months=[6, 7, 8])) == (30 + 31 + 31) * 24
    assert len(within(hours_of_day=[0, 12])) == 366 * 2
    chosen = within(months=[2], hours_of_day=[18, 19, 20], start="2024-02-28T19:30Z")
    np.testing.assert_array_equal(
        chosen.astype("datetime64[h]").astype(str),
        ["2024-02-28T20", "2024-02-29T18", "2024-02-29T19", "2024-02-29T20"],
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"months": [13]}, r"months\.0: "),
        ({"hours_of_day": [24]}, r"hours_of_day\.0: "),
        ({"hours_of_day": [0, 5, 12]}, r"hours_of_day: \[0, 5, 12\] have no common step"),
        ({"thin": 0}, "thin: "),
    ],
)
def test_times_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(SOURCES["netcdf"], settings)


def test_hours_of_the_day_set_the_step() -> None:
    description = Synthetic(hours=48, hours_of_day=(0, 12)).open(()).describe()
    assert len(description.times) == 4
    assert description.step == np.timedelta64(12, "h")


@pytest.mark.parametrize("settings", [{"variables": {"wind_speed": {}}}, {"hours_of_day": [0, 12]}])
def test_the_oracle_takes_no_other_channels_or_steps(settings: dict[str, Any]) -> None:
    world = Synthetic(hours=48, height=16, width=16, **settings).build(())
    with pytest.raises(BadDataError, match=r"the law (is of the world's own channels|steps from hour to hour)"):
        world.oracle(np.zeros((7, 16, 16)), AFTER, steps=1, members=1, seed=0)
