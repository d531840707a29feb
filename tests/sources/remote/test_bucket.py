"""A bucket answers rightly, or says why not: against moto's S3 and a web server that misbehaves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from archive_server import ArchiveServer
from distributed.protocol import deserialize_bytes, serialize_bytes

from weatherml.errors import BadDataError, MissingInputError, TemporaryError, UsageError
from weatherml.sources.remote import Bucket, is_url

CONTENT = bytes(range(256)) * 40
PLACES = [(0, 3), (250, 20), (10_000, 240)]  # the last ends with the object
PARTS = [CONTENT[offset : offset + length] for offset, length in PLACES]
PASSING = ("truncate", "whole", "drop", "error", "stall")


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        running.files["day/object"] = CONTENT
        yield running


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with one public and one private object."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="archive")
    client.put_object(Bucket="archive", Key="day/object", Body=CONTENT, ACL="public-read")
    client.put_object(Bucket="archive", Key="day/private", Body=CONTENT)
    yield f"http://{host}:{port}"
    client.close()
    running.stop()


def test_the_same_answers_from_s3(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    for bucket, key in ((Bucket("s3://archive"), "day/object"), (Bucket("s3://archive/day/"), "object")):
        assert bucket.get(key) == CONTENT
        assert bucket.ranges(key, PLACES) == PARTS
        assert bucket.size(key) == len(CONTENT)
        assert bucket.get("absent") is None
        assert bucket.ranges("absent", PLACES) is None
        assert bucket.size("absent") is None
    with pytest.raises(MissingInputError, match="s3://archive/day/private: refused with status 403; name a bucket"):
        Bucket("s3://archive").get("day/private")
    with pytest.raises(MissingInputError, match="s3://nowhere: no such bucket"):
        Bucket("s3://nowhere").get("day/object")


def test_answers_of_a_web_server(server: ArchiveServer) -> None:
    bucket = Bucket(f"{server.url}/day", budget_seconds=3.0)
    assert bucket.get("object") == CONTENT
    assert bucket.ranges("object", PLACES) == PARTS
    assert bucket.size("object") == len(CONTENT)
    assert bucket.ranges("absent", PLACES) is None
    assert deserialize_bytes(serialize_bytes(bucket)).get("object") == CONTENT


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_asked_again(server: ArchiveServer, fault: str) -> None:
    bucket = Bucket(server.url, budget_seconds=3.0)
    server.fault("day/object", fault, times=2)
    assert bucket.ranges("day/object", PLACES) == PARTS
    if fault != "whole":  # which is right for a whole object
        server.fault("day/object", fault, times=2)
        assert bucket.get("day/object") == CONTENT
        assert len(server.requests) >= 3


@pytest.mark.parametrize("fault", PASSING)
def test_what_lasts_ends_with_the_budget(server: ArchiveServer, fault: str) -> None:
    server.fault("day/object", fault)
    begun = time.monotonic()
    with pytest.raises(
        TemporaryError, match=rf"^{server.url}/day/object: no whole answer in 0\.6 s \([^<\n]+\); check"
    ):
        Bucket(server.url, budget_seconds=0.6).ranges("day/object", PLACES)
    assert time.monotonic() - begun < 2.0


def test_a_server_that_is_not_there_is_known_soon() -> None:
    with ArchiveServer() as gone:
        url = gone.url
    with pytest.raises(TemporaryError, match=r"\(.*connect.*\)"):
        Bucket(url, budget_seconds=0.5).get("object")


def test_what_will_not_change_is_said_at_once(server: ArchiveServer) -> None:
    bucket = Bucket(server.url)  # two minutes: none of these may wait
    with pytest.raises(BadDataError, match="day/object: ends before the bytes asked for"):
        bucket.ranges("day/object", [(len(CONTENT), 10)])
    with pytest.raises(BadDataError, match="10240 bytes where at most 10239 are read"):
        bucket.get("day/object", most=len(CONTENT) - 1)
    server.fault("day/object", "forbidden")
    with pytest.raises(MissingInputError, match="refused with status 403"):
        bucket.get("day/object")


def test_an_object_shorter_than_the_range_is_never_padded(server: ArchiveServer) -> None:
    with pytest.raises(BadDataError, match="day/object: 5 bytes where 10 were asked for"):
        Bucket(server.url).ranges("day/object", [(len(CONTENT) - 5, 10)])


def test_addresses() -> None:
    assert is_url("s3://bucket/folder")
    assert not is_url("folder/file.grib2")
    for url, reason in (
        ("ftp://server/folder", "not a bucket; write s3://bucket"),
        ("s3://", "not a bucket"),
        ("http://example.com/folder", "plain http to another machine"),
    ):
        with pytest.raises(UsageError, match=reason):
            Bucket(url).get("object")
