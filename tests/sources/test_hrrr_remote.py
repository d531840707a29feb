"""HRRR from a bucket: the same store as from files, or an hour that is listed; never other data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before eccodes
import pytest
from archive_server import ArchiveServer, archived

from weatherml.data.packing import pack
from weatherml.data.prepare import Options, prepare
from weatherml.errors import BadDataError, ConfigError, MissingInputError, TemporaryError, UsageError
from weatherml.files import read_json
from weatherml.sources import grib
from weatherml.sources.base import Split
from weatherml.sources.hrrr import HRRR, SIDECARS

pytest.importorskip("eccodes")

START, END = "2018-07-22T03:00Z", "2018-07-22T06:00Z"
"""Four hours, of the runs at 02 to 05 Z."""
THIRD = "hrrr.20180722/conus/hrrr.t04z.wrfsfcf01.grib2"
CONFIG = HRRR(start=START, end=END, lead=1, budget_seconds=1.5, split=Split(validation=0, test=0))


@pytest.fixture(scope="module")
def rme(shared_data: Path) -> Path:
    return shared_data / "hrrr_smrf_rme" / "hrrr.20180722"


@pytest.fixture(scope="module")
def archive(rme: Path) -> dict[str, bytes]:
    return archived(rme.glob("hrrr.t0[2-6]z.wrfsfcf01.grib2"))


@pytest.fixture
def server(archive: dict[str, bytes]) -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        running.files.update(archive)
        yield running


@pytest.fixture(scope="module")
def local(rme: Path) -> grib.GribSource:
    """The same hours from files."""
    source = CONFIG.build([str(rme)])
    source.describe()  # takes seconds
    return source


def same_state(source: grib.GribSource, local: grib.GribSource, hour: int) -> bool:
    time = local.times[hour]
    (found,), (expected,) = source.read(np.array([time])), local.read(np.array([time]))
    return list(found) == list(expected) and all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_same_as_from_files(server: ArchiveServer, local: grib.GribSource) -> None:
    source = CONFIG.build([server.url])
    mine, theirs = source.describe(), local.describe()
    np.testing.assert_array_equal(mine.times, theirs.times)
    assert (mine.variables, mine.step, mine.attributes) == (theirs.variables, theirs.step, theirs.attributes)
    assert mine.grid.difference(theirs.grid) == ""
    assert mine.notes == theirs.notes == ("refc: in none of the files, left out",)
    for name, static in theirs.static.items():
        np.testing.assert_array_equal(mine.static[name].values, static.values)
    assert all(same_state(source, local, hour) for hour in range(4))
    fetched = {name for _, name, asked in server.requests if asked is None and name.endswith(".grib2")}
    assert not fetched  # only ranges of the large files
    size = len(server.files[THIRD])
    assert 0 < mine.inputs[f"{server.url}/{THIRD}"] < size / 2  # 6 of 52 messages


def test_the_store_from_s3(
    archive: dict[str, bytes], local: grib.GribSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="noaa-hrrr-bdp-pds")
    for key, content in archive.items():
        client.put_object(Bucket="noaa-hrrr-bdp-pds", Key=key, Body=content, ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patient = CONFIG.model_copy(update={"budget_seconds": 60.0})  # moto answers slowly beside other tests
    dataset = prepare(patient, [], tmp_path / "remote.zarr", options=Options(workers=1))
    client.close()
    running.stop()
    np.testing.assert_array_equal(dataset.times, local.times)
    for index, frame in enumerate(local.read(local.times)):
        for name, packing in zip(dataset.names, dataset.packings, strict=True):
            np.testing.assert_array_equal(dataset.read(index, name)[0], pack(frame[name], packing))
    report = read_json(dataset.path / "quality.json")
    assert (report["missing"], report["quarantined"]) == ([], {})


@pytest.mark.parametrize("fault", ["truncate", "whole", "drop", "error", "stall", "short", "wrong"])
def test_what_passes_costs_nothing(server: ArchiveServer, local: grib.GribSource, fault: str) -> None:
    source = CONFIG.build([server.url])
    server.fault(THIRD, fault, times=1)
    assert same_state(source, local, 2)


@pytest.mark.parametrize("fault", ["short", "wrong"])
def test_a_broken_file_is_quarantined(server: ArchiveServer, local: grib.GribSource, fault: str) -> None:
    source = CONFIG.build([server.url])
    server.fault(THIRD, fault)
    with pytest.raises(BadDataError, match=rf"^{server.url}/{THIRD}: "):
        list(source.read(source.times[2:3]))
    assert same_state(source, local, 3)


@pytest.mark.parametrize("fault", ["truncate", "whole", "drop", "error", "stall"])
def test_a_bucket_that_fails_says_to_run_again(server: ArchiveServer, fault: str) -> None:
    source = CONFIG.build([server.url])
    server.fault(THIRD, fault)
    with pytest.raises(TemporaryError, match=rf"^{server.url}/{THIRD}: no whole answer in 1\.5 s"):
        list(source.read(source.times[2:3]))


def test_the_hours_of_a_store_of_faults(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grib.GribSource, "isolated", False)  # starting workers takes seconds
    second, third, fourth = (f"hrrr.20180722/conus/hrrr.t0{cycle}z.wrfsfcf01.grib2" for cycle in (3, 4, 5))
    del server.files[f"{second}.idx"]
    server.fault(third, "wrong")
    server.fault(fourth, "error", times=2)
    dataset = prepare(CONFIG, [server.url], tmp_path / "faults.zarr", options=Options(workers=1))
    report = read_json(dataset.path / "quality.json")
    assert [str(time) for time in dataset.times] == ["2018-07-22T03:00:00", "2018-07-22T06:00:00"]
    assert report["missing"] == ["2018-07-22T04:00:00Z"]
    assert list(report["quarantined"]) == ["2018-07-22T05:00:00Z"]
    assert report["notes"][-1] == "1 of 4 hours are not in the archive, the first 2018-07-22T04:00:00Z"


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (b"<html>not found</html>\n", "line 1 is not of an index"),
        (b"", "it is cut short"),
        (b"1:0:d=2018072204:TMP:2 m above ground:1 hour fcst:\n2:99", "it is cut short"),
        (b"1:0:d=2018072203:TMP:2 m above ground:1 hour fcst:\n", "it is of the run of 2018-07-22T03:00:00Z"),
        (b"1:9:d=2018072204:A:b:anl:\n2:0:d=2018072204:A:b:anl:\n", "its offsets do not increase"),
        (b"1:0:d=2018139904:A:b:anl:\n", "no time: d=2018139904"),
        (b"1:0:d=2018072204:TMP:2 m above ground:anl:\n", "no t2m, d2m, u10, v10, cape, cin in"),
        (b"x" * (1 << 22) + b"\n", "4194305 bytes where at most 4194304 are read"),
    ],
)
def test_an_index_that_is_none_costs_its_hour(server: ArchiveServer, index: bytes, reason: str) -> None:
    server.files[f"{THIRD}.idx"] = index
    source = CONFIG.build([server.url])
    assert list(source.quarantined) == ["2018-07-22T05:00:00Z"]
    assert reason in source.quarantined["2018-07-22T05:00:00Z"]
    assert len(source.times) == 3


def test_an_index_of_another_file_gives_no_data(server: ArchiveServer) -> None:
    """Offsets one message off: every place holds a whole message, and another one."""
    lines = server.files[f"{THIRD}.idx"].decode().splitlines()
    places, names = [line.split(":", 2)[:2] for line in lines], [line.split(":", 2)[2] for line in lines]
    shifted = (":".join([*place, name]) for place, name in zip(places, names[1:] + names[:1], strict=True))
    server.files[f"{THIRD}.idx"] = ("\n".join(shifted) + "\n").encode()
    source = CONFIG.build([server.url])
    with pytest.raises(BadDataError, match="another message now stands at its place; the hour is left out"):
        list(source.read(source.times[2:3]))


def test_a_file_of_another_hour_gives_no_data(server: ArchiveServer) -> None:
    """The file of another run under this name, its index rewritten to hide it."""
    other = THIRD.replace("t04z", "t05z")
    server.files[THIRD] = server.files[other]
    server.files[f"{THIRD}.idx"] = server.files[f"{other}.idx"].replace(b"d=2018072205", b"d=2018072204")
    source = CONFIG.build([server.url])
    with pytest.raises(BadDataError, match=r"t2m at 2018-07-22T05:00:00Z: it is of 2018-07-22T06:00:00Z, 1 h after"):
        list(source.read(source.times[2:3]))


def test_the_last_message_ends_with_its_file(server: ArchiveServer, local: grib.GribSource) -> None:
    content, index = server.files[THIRD], server.files[f"{THIRD}.idx"].decode().splitlines()
    last = next(number for number, line in enumerate(index) if ":CIN:surface:1 hour fcst:" in line)
    server.files[f"{THIRD}.idx"] = ("\n".join(index[: last + 1]) + "\n").encode()
    server.files[THIRD] = content[: int(index[last + 1].split(":")[1])]
    assert same_state(CONFIG.build([server.url]), local, 2)


def test_what_cannot_be_prepared_is_known_at_once(server: ArchiveServer) -> None:
    with pytest.raises(ConfigError, match="end: a bucket holds years; set --start and --end"):
        HRRR(start=START).build([server.url])
    with pytest.raises(MissingInputError, match=r"no hour from 2019-01-01T01:00:00Z to 2019-01-01T02:00:00Z; check"):
        HRRR(start="2019-01-01T01:00Z", end="2019-01-01T02:00Z").build([server.url])
    with pytest.raises(ConfigError, match="no hour from 2019-01-01T01:00:00Z to 2019-01-01T00:00:00Z is chosen"):
        HRRR(start="2019-01-01T01:00Z", end="2019-01-01T00:00Z").build([server.url])
    with pytest.raises(BadDataError, match=r"variables\.refc: no message matches in the indices of 4 hours"):
        HRRR(variables={"refc": {}}, **CONFIG.model_dump(include={"start", "end", "lead"})).build([server.url])
    with pytest.raises(ConfigError, match=r"variables\.rain\.sidecar: not set; write short name and level"):
        HRRR(variables={"rain": {"units": "mm", "keys": {"level": 0}}}, start=START, end=END).build([server.url])
    with pytest.raises(UsageError, match="one bucket at a time"):
        CONFIG.build([server.url, "folder"])


def test_a_bucket_that_is_gone_is_known_soon() -> None:
    with ArchiveServer() as gone:
        url = gone.url
    with pytest.raises(TemporaryError, match=rf"^{url}/hrrr.20180722/conus/hrrr.t02z.wrfsfcf01.grib2.idx: no whole"):
        CONFIG.build([url])


def test_analyses_by_default() -> None:
    (file,) = HRRR(start="2024-01-02T03:00Z", end="2024-01-02T03:00Z").remote_files().values()
    assert file.key == "hrrr.20240102/conus/hrrr.t03z.wrfsfcf00.grib2"
    (file,) = HRRR(start="2024-01-02T03:00Z", end="2024-01-02T03:00Z", lead=6).remote_files().values()
    assert (file.key, file.reference) == (
        "hrrr.20240101/conus/hrrr.t21z.wrfsfcf06.grib2",
        np.datetime64("2024-01-01T21:00:00"),
    )


def test_a_chosen_lead_of_files(rme: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="no message matches in 24 files at lead 0 h"):
        HRRR(lead=0).build([str(rme)])
    assert len(HRRR(lead=1).build([str(rme)]).times) == 24
    with pytest.raises(ConfigError, match="lead, forecast_hours: both are set"):
        HRRR(lead=1, forecast_hours=2)


def test_official_indices(shared_data: Path) -> None:
    """Offsets of the wanted messages as `grep` finds them in the files of NOAA."""
    content = (shared_data / "hrrr_reformatters" / "hrrr.t00z.wrfsfcf08.grib2.idx").read_bytes()
    entries = grib.parse_sidecar(content)
    assert len(entries) == 173
    reference, lead = np.datetime64("2025-08-01T00:00:00"), np.timedelta64(8, "h")
    chosen = grib.choose(entries, {"cape": "CAPE:surface", "t2m": "TMP:2 m above ground"}, reference, lead)
    assert (chosen["cape"].offset, chosen["cape"].length) == (74_907_357, 75_731_937 - 74_907_357)
    assert chosen["t2m"].offset == 45_276_939
    assert not grib.choose(entries, {"cape": "CAPE:surface"}, reference, np.timedelta64(7, "h"))
    rain = grib.choose(entries, {"rain": "APCP:surface:7-8 hour acc fcst"}, reference, lead)
    assert rain["rain"].offset == 62_669_071
    with pytest.raises(grib.GribError, match="2 messages match"):
        grib.choose(entries + entries[:1], {"refc": "REFC:entire atmosphere"}, reference, lead)


def test_every_official_index_names_all_channels(shared_data: Path) -> None:
    files = sorted(
        [*shared_data.glob("hrrr_kerchunk/idx/*/*wrfsfc*.idx"), *shared_data.glob("hrrr_reformatters/*.idx")]
    )
    assert len(files) == 7
    for file in files:
        entries = grib.parse_sidecar(file.read_bytes())
        lead = np.timedelta64(int(file.name.split(".")[-3].removeprefix("wrfsfcf")), "h")
        assert set(grib.choose(entries, SIDECARS, entries[0].reference, lead)) == set(SIDECARS)
        assert [entry.length is None for entry in entries] == [False] * (len(entries) - 1) + [True]
