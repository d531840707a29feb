"""HRRR's own forecasts as a forecast store: real fields under rewritten leads, so that they verify perfectly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before eccodes
import pytest
import xarray as xr
from archive_server import ArchiveServer, archived

from weatherml.data.prepare import Options, prepare
from weatherml.errors import BadDataError, ConfigError, MissingInputError, TemporaryError, UsageError
from weatherml.files import read_json
from weatherml.forecast.archive import prepare_forecasts
from weatherml.sources import grib
from weatherml.sources.base import Split
from weatherml.sources.hrrr import CHANNEL_KEYS, HRRR, STATIC_KEYS
from weatherml.verify import evaluate

eccodes = pytest.importorskip("eccodes")

RUNS, LEADS = (1, 2, 3), (1, 2, 3)
SETTINGS = {"variables": {"t2m": {}, "u10": {}}, "split": Split(validation=0, test=0)}
CONFIG = HRRR(**SETTINGS, forecast_hours=3, start="2018-07-22T01:00Z", end="2018-07-22T03:00Z", budget_seconds=1.5)
LAGGED = CONFIG.model_copy(update={"forecast_hours": 2, "lagged": (0, 1)})
ONE = Options(workers=1)


@pytest.fixture(scope="module")
def rme(shared_data: Path) -> Path:
    return shared_data / "hrrr_smrf_rme" / "hrrr.20180722"


@pytest.fixture(scope="module")
def forecasts(rme: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs at 1, 2 and 3 Z: the state at lead L is the real one, of the f01 file that is valid then."""
    folder = tmp_path_factory.mktemp("forecasts") / "hrrr.20180722"
    folder.mkdir()
    for run in RUNS:
        for lead in LEADS:
            real = rme / f"hrrr.t{run + lead - 1:02d}z.wrfsfcf01.grib2"
            (folder / f"hrrr.t{run:02d}z.wrfsfcf{lead:02d}.grib2").write_bytes(relabelled(real, run, lead))
    return folder


def relabelled(path: Path, run: int, lead: int) -> bytes:
    """The channels and static fields of a file as those of another run and lead."""
    content, wanted, parts = path.read_bytes(), (CHANNEL_KEYS | STATIC_KEYS).values(), []
    for _, place in grib.scan_file(path, dict(enumerate(wanted))).found:
        handle = eccodes.codes_new_from_message(content[place.field.offset :][: place.field.length])
        eccodes.codes_set(handle, "dataTime", 100 * run)
        eccodes.codes_set(handle, "forecastTime", lead)
        parts.append(eccodes.codes_get_message(handle))
        eccodes.codes_release(handle)
    return b"".join(parts)


@pytest.fixture(scope="module")
def local(forecasts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forecasts from files."""
    output = tmp_path_factory.mktemp("local") / "hrrr.zarr"
    return prepare_forecasts(CONFIG, [str(forecasts)], output, options=ONE).path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode in this process, and no static fields: starting another one takes seconds."""
    monkeypatch.setattr(grib.GribSource, "isolated", False)
    monkeypatch.setattr("weatherml.sources.hrrr.STATIC_KEYS", {})


@pytest.fixture
def server(forecasts: Path) -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        running.files.update(archived(forecasts.iterdir()))
        yield running


def content(store: Path) -> dict[str, bytes]:
    return {str(file.relative_to(store)): file.read_bytes() for file in store.rglob("*") if file.is_file()}


def test_every_state_is_that_of_its_valid_time(local: Path, rme: Path) -> None:
    with xr.open_zarr(local, consolidated=True) as found:
        assert found["t2m"].dims == ("init_time", "lead_time", "y", "x")
        assert [str(time)[:13] for time in found["init_time"].values] == [f"2018-07-22T{run:02d}" for run in RUNS]
        np.testing.assert_array_equal(found["lead_time"].values, np.array(LEADS).astype("timedelta64[h]"))
        truth = HRRR(**SETTINGS).build([str(rme)])
        for case, run in enumerate(RUNS):
            valid = np.datetime64("2018-07-22T00:00:00") + (run + np.array(LEADS)) * np.timedelta64(3600, "s")
            for lead, frame in enumerate(truth.read(valid)):
                for name, values in frame.items():
                    step = found[name].encoding["scale_factor"]
                    assert np.abs(found[name].values[case, lead] - values).max() <= step / 2
        assert found.attrs["missing"] == {}


@pytest.mark.usefixtures("here")
def test_evaluate_scores_them(local: Path, forecasts: Path, rme: Path, tmp_path: Path) -> None:
    truth = prepare(HRRR(**SETTINGS, end="2018-07-22T06:00Z"), [str(rme)], tmp_path / "truth.zarr", options=ONE)
    scored = evaluate([local], truth.path, output=tmp_path / "scores", baselines=("persistence",), resamples=5)
    scores = read_json(scored.scores)["forecasts"]
    assert scores["hrrr"]["t2m"]["rmse"]["lead_hours"] == [1, 2, 3]
    np.testing.assert_allclose(scores["hrrr"]["t2m"]["rmse"]["value"], 0, atol=1e-6)  # the truth itself, packed alike
    assert min(scores["persistence"]["t2m"]["rmse"]["value"]) > 0.5
    members = prepare_forecasts(LAGGED, [str(forecasts)], tmp_path / "lagged.zarr", options=ONE).path
    scored = evaluate([members], truth.path, output=tmp_path / "of-members", baselines=(), resamples=5)
    scores = read_json(scored.scores)
    assert scores["metadata"]["members"] == {"lagged": 2}
    np.testing.assert_allclose(scores["forecasts"]["lagged"]["t2m"]["crps"]["value"], 0, atol=1e-6)


@pytest.mark.usefixtures("here")
def test_the_same_from_a_bucket(local: Path, server: ArchiveServer, tmp_path: Path) -> None:
    remote = prepare_forecasts(CONFIG, [server.url], tmp_path / "hrrr.zarr", options=ONE).path
    assert content(remote) == content(local)


@pytest.mark.usefixtures("here")
def test_a_lead_that_is_not_there_is_missing(local: Path, server: ArchiveServer, tmp_path: Path) -> None:
    del server.files["hrrr.20180722/conus/hrrr.t02z.wrfsfcf02.grib2.idx"]
    server.fault("hrrr.20180722/conus/hrrr.t03z.wrfsfcf01.grib2", "wrong")
    remote = prepare_forecasts(CONFIG, [server.url], tmp_path / "hrrr.zarr", options=ONE).path
    with xr.open_zarr(remote, consolidated=True) as found, xr.open_zarr(local, consolidated=True) as whole:
        holes = np.isnan(found["t2m"].values).all((2, 3))
        assert holes.tolist() == [[False, False, False], [False, True, False], [True, False, False]]
        np.testing.assert_array_equal(found["u10"].values[~holes], whole["u10"].values[~holes])
        missing = found.attrs["missing"]
    assert missing["2018-07-22T02:00:00Z"] == {"2 h": "2018-07-22T04:00:00Z: not in the archive"}
    assert missing["2018-07-22T03:00:00Z"]["1 h"].startswith(f"{server.url}/hrrr.20180722/conus/hrrr.t03z.wrfsfcf01")


@pytest.mark.usefixtures("here")
def test_a_job_that_failed_goes_on(local: Path, server: ArchiveServer, tmp_path: Path) -> None:
    output = tmp_path / "hrrr.zarr"
    server.fault("hrrr.20180722/conus/hrrr.t02z.wrfsfcf03.grib2", "error")
    with pytest.raises(TemporaryError, match=r"hrrr\.t02z\.wrfsfcf03\.grib2: no whole answer in 1\.5 s"):
        prepare_forecasts(CONFIG, [server.url], output, options=ONE)
    assert not output.exists()
    server.faults.clear()
    server.requests.clear()
    prepare_forecasts(CONFIG, [server.url], output, options=ONE)
    fetched = [path.rpartition("/")[2] for _, path, _ in server.requests]
    assert fetched.count("hrrr.t01z.wrfsfcf02.grib2") == 1  # for the grid: the first forecast was whole
    assert fetched.count("hrrr.t02z.wrfsfcf02.grib2") == 2  # t2m and u10
    assert content(output) == content(local)


@pytest.mark.usefixtures("here")
def test_initial_times_are_chosen_not_valid_ones(forecasts: Path, tmp_path: Path) -> None:
    config = HRRR(**SETTINGS, forecast_hours=2, hours_of_day=(2,), region={"rows": [0, 10], "columns": [5, 9]})
    output = prepare_forecasts(config, [str(forecasts)], tmp_path / "two.zarr", options=ONE).path
    with xr.open_zarr(output, consolidated=True) as found:
        assert found["init_time"].values.astype("datetime64[h]").astype(str).tolist() == ["2018-07-22T02"]
        assert found["t2m"].shape == (1, 2, 10, 4)


@pytest.mark.usefixtures("here")
def test_runs_that_began_earlier_are_members(local: Path, server: ArchiveServer, tmp_path: Path) -> None:
    folder = "hrrr.20180722/conus"
    del server.files[f"{folder}/hrrr.t01z.wrfsfcf03.grib2.idx"]
    made = prepare_forecasts(LAGGED, [server.url], tmp_path / "lagged.zarr", options=ONE)
    with xr.open_zarr(made.path, consolidated=True) as found, xr.open_zarr(local, consolidated=True) as single:
        assert found["t2m"].dims == ("init_time", "lead_time", "member", "y", "x")
        assert found["init_time"].values.astype("datetime64[h]").astype(str).tolist() == [
            "2018-07-22T02", "2018-07-22T03",
        ]  # fmt: skip
        # member 0 is the run itself; member 1 at 2 Z is the run of 1 Z, whose leads 2 and 3 are valid at 3 and 4 Z
        first, second = (found["u10"].sel(member=member).values for member in (0, 1))
        np.testing.assert_array_equal(first, single["u10"].values[1:, :2])
        np.testing.assert_array_equal(second[0, 0], single["u10"].values[0, 1])
        assert np.isnan(second[0, 1]).all()
        np.testing.assert_array_equal(second[1], single["u10"].values[1, 1:])
        assert found.attrs["missing"] == made.missing
    assert made.missing == {
        "2018-07-22T01:00:00Z": {"member 1": "not in the archive, left out"},
        "2018-07-22T02:00:00Z": {"member 1, 2 h": "2018-07-22T04:00:00Z: not in the archive"},
    }


@pytest.mark.usefixtures("here")
def test_a_job_that_failed_among_members_goes_on(forecasts: Path, server: ArchiveServer, tmp_path: Path) -> None:
    local = prepare_forecasts(LAGGED, [str(forecasts)], tmp_path / "files.zarr", options=ONE).path
    output = tmp_path / "lagged.zarr"
    server.fault("hrrr.20180722/conus/hrrr.t02z.wrfsfcf03.grib2", "error")  # member 1 of 3 Z, the last row
    with pytest.raises(TemporaryError):
        prepare_forecasts(LAGGED, [server.url], output, options=ONE)
    server.faults.clear()
    server.requests.clear()
    prepare_forecasts(LAGGED, [server.url], output, options=ONE)
    fetched = {path.rpartition("/")[2] for _, path, _ in server.requests}
    assert "hrrr.t02z.wrfsfcf03.grib2" in fetched
    assert "hrrr.t03z.wrfsfcf02.grib2" not in fetched  # member 0 of 3 Z was whole
    assert content(output) == content(local)


@pytest.mark.usefixtures("here")
def test_several_models_are_members(forecasts: Path, local: Path, tmp_path: Path) -> None:
    other = shutil.copytree(forecasts, tmp_path / "other")
    for file in other.glob("hrrr.t03z*"):
        file.unlink()
    models = {"one": str(forecasts), "other": str(other / "*.grib2")}
    config = CONFIG.model_copy(update={"forecast_hours": 1, "lagged": (0, 1), "members": models})
    made = prepare_forecasts(config, [], tmp_path / "models.zarr", options=ONE)
    # at 1 Z the runs of 0 Z are missing, at 3 Z the other model's; of 2 Z there are 2 models x (2 Z, 1 Z)
    assert {initial: list(why) for initial, why in made.missing.items()} == {
        "2018-07-22T01:00:00Z": ["member 1", "member 3"],
        "2018-07-22T03:00:00Z": ["member 2"],
    }
    with xr.open_zarr(made.path, consolidated=True) as found, xr.open_zarr(local, consolidated=True) as single:
        values = single["t2m"].values
        np.testing.assert_array_equal(found["t2m"].values[0, 0], [values[1, 0], values[0, 1]] * 2)
    with pytest.raises(UsageError, match="members name their own files; leave out --input"):
        prepare_forecasts(config, [str(forecasts)], tmp_path / "none.zarr", options=ONE)


@pytest.mark.usefixtures("here")
def test_members_that_cannot_be(forecasts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lagged: members are whole forecasts; set forecast_hours too"):
        HRRR(lagged=(0, 1))
    with pytest.raises(ConfigError, match="members: members are whole forecasts"):
        HRRR(members={"one": "a", "other": "b"})
    with pytest.raises(ConfigError, match=r"lagged: \[0, 0\] has a run twice"):
        HRRR(forecast_hours=2, lagged=(0, 0))
    with pytest.raises(ConfigError, match="a run 6 h before the initial time does not reach 43 h beyond it"):
        HRRR(forecast_hours=43, lagged=(0, 6))
    apart = HRRR(**SETTINGS, forecast_hours=1, lagged=(0, 2), start="2018-07-22T01:00Z", end="2018-07-22T02:00Z")
    with pytest.raises(BadDataError, match="none of the times"):
        prepare_forecasts(apart, [str(forecasts)], tmp_path / "apart.zarr", options=ONE)


@pytest.mark.usefixtures("here")
def test_what_cannot_be_forecasts(forecasts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="forecast_hours: whole forecasts are no dataset"):
        CONFIG.build([str(forecasts)])
    longer = HRRR(**SETTINGS, forecast_hours=4)
    with pytest.raises(BadDataError, match="no message matches in 9 files at lead 4 h"):
        prepare_forecasts(longer, [str(forecasts)], tmp_path / "four.zarr", options=ONE)
    with pytest.raises(MissingInputError, match="no such file or folder"):
        prepare_forecasts(CONFIG, [str(tmp_path / "nothing")], tmp_path / "none.zarr", options=ONE)
    shutil.copytree(forecasts, tmp_path / "copy")
    (tmp_path / "copy" / "hrrr.t01z.wrfsfcf02.grib2").write_bytes(b"GRIB")
    for run in RUNS[1:]:
        (tmp_path / "copy" / f"hrrr.t{run:02d}z.wrfsfcf02.grib2").unlink()
    with pytest.raises(BadDataError, match="the message at byte 0 ends after 4 bytes"):
        prepare_forecasts(CONFIG, [str(tmp_path / "copy")], tmp_path / "none.zarr", options=ONE)
