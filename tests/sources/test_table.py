"""Daily tables: what becomes a sample, what is an event, and what is refused."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weatherml.config import load, parse_member, read_yaml
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import BadDataError, ConfigError, MissingInputError, UnavailableError
from weatherml.sources import SOURCES
from weatherml.sources.sequences import Sequences

START = pd.Timestamp("2020-01-01")
ROOT = Path(__file__).parents[2]
CAMELS = ROOT / "benchmarks" / "camels.yaml"


def make_table(days: int = 100, places: tuple[str, ...] = ("01", "02"), features: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "place": place,
                "date": [f"{START + pd.Timedelta(days=n):%Y-%m-%d}" for n in range(days)],
                **{f"f{n}(mm/day)": rng.gamma(1.0, 2.0, days) for n in range(features)},
                "label": (np.arange(days) % 7 == 0).astype(int),
            }
        )
        for place in places
    ]
    return pd.concat(frames, ignore_index=True)


def write(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def build(*paths: Path, **settings: object) -> Sequences:
    found = parse_member(SOURCES, {"kind": "table", **settings}, at="table").build([str(path) for path in paths])
    assert isinstance(found, Sequences)
    return found


def parts(found: Sequences) -> list[list[int]]:
    """Of the first place, the days of each part's targets."""
    return [np.flatnonzero(found.part[0] == number).tolist() for number in range(3)]


def test_a_table_becomes_sequences(tmp_path: Path) -> None:
    table = make_table()
    found = build(write(table, tmp_path / "days.csv"), length=5, lead=2)
    assert (found.task, found.length, found.lead, found.series) == ("classify", 5, 2, ("01", "02"))
    assert [(v.name, v.units) for v in found.inputs] == [("f0", "mm/day"), ("f1", "mm/day")]
    assert [v.name for v in found.targets] == ["label"]
    assert found.grid.shape == (1, 1)
    np.testing.assert_allclose(found.values["f1"][1, :, 0, 0], table["f1(mm/day)"][100:], rtol=1e-6)


def test_37_features_of_30_days(tmp_path: Path) -> None:
    path = write(make_table(365, features=37), tmp_path / "days.csv")
    config = parse_member(SOURCES, {"kind": "table"}, at="table")
    dataset = prepare_sequences(config, [str(path)], tmp_path / "days.zarr")
    assert (len(dataset.inputs), dataset.length, dataset.lead) == (37, 30, 1)
    training = dataset.values["f0"][:, : 365 - 110 - 31]  # test 55 days, validation 55 with a gap of 31 at each end
    assert len(dataset.samples("validation")) == 0
    assert dataset.statistics.mean[0] == pytest.approx(training[:, :-1].mean(), rel=0.02)


def test_no_day_is_in_the_samples_of_two_parts(tmp_path: Path) -> None:
    found = build(write(make_table(), tmp_path / "days.csv"), length=5, lead=2, split={"validation": 0.3, "test": 0.2})
    # 100 days: training ends at 50, test begins at 80; the gap of 5 + 2 days is validation's at both ends
    assert parts(found) == [list(range(6, 50)), list(range(57, 73)), list(range(80, 100))]
    days = [{day for target in part for day in (*range(target - 6, target - 1), target)} for part in parts(found)]
    assert not days[0] & days[1]
    assert not days[1] & days[2]


def test_a_short_validation_part_gives_way_to_the_gap(tmp_path: Path) -> None:
    found = build(write(make_table(), tmp_path / "days.csv"), length=5, lead=2, split={"validation": 0.0, "test": 0.2})
    assert parts(found) == [list(range(6, 73)), [], list(range(80, 100))]


def test_places_held_out_serve_the_test_alone(tmp_path: Path) -> None:
    path = write(make_table(), tmp_path / "days.csv")
    found = build(path, length=5, split={"places": ["02"]})
    assert set(np.unique(found.part[1])) == {-1, 2}
    assert set(np.unique(found.part[0])) == {-1, 0, 1, 2}
    np.testing.assert_array_equal(found.part[1] == 2, found.part[0] == 2)
    with pytest.raises(ConfigError, match="no place '2'"):
        build(path, split={"places": ["2"]})


def test_the_event_is_a_quantile_of_the_training_period_of_each_place(tmp_path: Path) -> None:
    table = make_table()
    table["Flow (m3/s)"] = [*range(100), *range(0, 1000, 10)]
    found = build(
        write(table, tmp_path / "days.csv"),
        label={"column": "flow", "quantile": 0.9},
        length=5,
        split={"validation": 0.2, "test": 0.3},
    )
    # training ends at day 50: the quantile of 0..49 is 44.1, of 0..490 is 441
    assert [np.nanargmax(found.values["flow_event"][place]) for place in range(2)] == [45, 45]
    assert "flow" not in [v.name for v in found.inputs]
    assert found.notes[0] == "01: the event is flow above 44.1"


def test_windows_never_cross_a_day_that_is_missing(tmp_path: Path) -> None:
    table = make_table(places=("a",)).drop(index=40)
    table.loc[60, ["f0(mm/day)", "f1(mm/day)"]] = np.nan
    table.loc[70, "label"] = np.nan
    found = build(write(table, tmp_path / "days.csv"), length=3, lead=1, split={"validation": 0.0, "test": 0.0})
    targets = {str(time)[:10] for time in found.times[0][found.part[0] == 0]}
    dates = [str((START + pd.Timedelta(days=n)).date()) for n in range(100)]
    # day 40 is absent, 60 has no weather, 70 no label; three days and the target must follow one another
    left_out = {0, 1, 2, 40, 41, 42, 43, 60, 61, 62, 63, 70}
    assert {n for n, date in enumerate(dates) if date not in targets} == left_out


def test_what_does_not_change_is_a_feature_of_every_day(tmp_path: Path) -> None:
    write(make_table(), tmp_path / "days.csv")
    write(pd.DataFrame({"gauge": ["02", "01", "03"], "area": [2.0, 1.0, 3.0]}), tmp_path / "places.csv")
    static = {"files": "places*", "place": "gauge", "date": None}
    found = build(tmp_path, formats=[static, {}], length=5)
    assert [v.name for v in found.inputs] == ["f0", "f1", "area"]
    assert found.values["area"][:, 7, 0, 0].tolist() == [1.0, 2.0]


def test_netcdf_holds_a_table_too(tmp_path: Path) -> None:
    table = make_table()
    frame = table.assign(date=pd.to_datetime(table["date"])).set_index(["place", "date"])
    frame.rename(columns={f"f{n}(mm/day)": f"f{n}" for n in range(2)}).to_xarray().to_netcdf(tmp_path / "days.nc")
    found, expected = build(tmp_path / "days.nc"), build(write(table, tmp_path / "days.csv"))
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_allclose(found.values["f0"], expected.values["f0"], rtol=1e-6)


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_needs_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "days.parquet").touch()
    with pytest.raises(UnavailableError, match=r"days\.parquet: parquet needs pyarrow"):
        build(tmp_path / "days.parquet")


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    table, path = make_table(), tmp_path / "days.csv"
    with pytest.raises(BadDataError, match=r"days\.csv: place 01: 2020-01-01 stands after a later date; sort the rows"):
        build(write(table.iloc[[1, 0, *range(2, 200)]], path))
    with pytest.raises(BadDataError, match=r"days\.csv: place 01 at 2020-01-04 stands twice"):
        build(write(table.iloc[[0, 1, 2, 3, 3, *range(4, 200)]], path))
    with pytest.raises(BadDataError, match=r"days\.csv: row 3: 'soon' is no date"):
        build(write(table.assign(date=["2020-01-01", "2020-01-02", "soon", *table["date"][3:]]), path))
    with pytest.raises(BadDataError, match=r"days\.csv: no column 'place' among basin, date"):
        build(write(table.rename(columns={"place": "basin"}), path))
    with pytest.raises(BadDataError, match=r"no column 'lable'; did you mean 'label'\?"):
        build(write(table, path), label="lable")
    with pytest.raises(BadDataError, match="no column 'f9'"):
        build(path, features=["f0", "f9"])
    with pytest.raises(MissingInputError, match=r"nowhere\.csv: no such file"):
        build(tmp_path / "nowhere.csv")
    write(table, tmp_path / "again.csv")
    with pytest.raises(BadDataError, match="place 01 at 2020-01-01 stands in two files"):
        build(tmp_path)


def test_labels_outside_0_and_1_and_short_tables_are_refused(tmp_path: Path) -> None:
    config = parse_member(SOURCES, {"kind": "table"}, at="table")
    path = write(make_table().assign(label=3), tmp_path / "days.csv")
    with pytest.raises(BadDataError, match=r"label is 3 somewhere; labels are 0 or 1"):
        prepare_sequences(config, [str(path)], tmp_path / "days.zarr")
    path = write(make_table(20), tmp_path / "days.csv")
    with pytest.raises(BadDataError, match="no training sample of 30 steps"):
        prepare_sequences(config, [str(path)], tmp_path / "days.zarr")
    assert build(path).notes[0] == "01: 20 days, a sample needs 31; left out"


def test_the_document_shows_the_settings_for_camels() -> None:
    (block,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "floods.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert read_yaml(block, "the document") == load(CAMELS)


def test_camels(shared_data: Path) -> None:
    if not (shared_data / "camels").is_dir():
        pytest.skip("no CAMELS basins there")
    found = build(shared_data / "camels", **load(CAMELS))
    assert found.series == ("01022500", "03015500")
    assert [v.name for v in found.inputs] == ["dayl", "prcp", "srad", "swe", "tmax", "tmin", "vp"]
    assert found.values["prcp"][0, 2, 0, 0] == pytest.approx(5.5)  # 2000-01-03 in the file
    event = found.values["flow_event"][..., 0, 0]
    # 1,096 days with flow: training to 60 % is 658 of them, less the first 30; the test the last 384, 35 %
    assert [(found.part == number).sum() for number in (0, 2)] == [2 * (658 - 31), 2 * 384]
    assert 0.03 < event[:, :658].mean() < 0.037
