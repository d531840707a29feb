"""One bucket, or folder of a web server, read anonymously: whole objects or byte ranges, retried within a budget.

obstore would retry by itself, but not a body that stops halfway, nor a whole object in answer to a
range; so its retries are off, and the one loop stands here, where the answer is known to be right.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from weatherml.errors import BadDataError, MissingInputError, TemporaryError, UsageError
from weatherml.sources.remote.pool import in_threads

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, HTTPStore, RetryConfig, S3Config, S3Store

    Store = S3Store | GCSStore | HTTPStore

Answer = TypeVar("Answer")
SCHEMES = ("s3", "gs", "http", "https")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REGION, ELSEWHERE = "us-east-1", {"hrrrzarr": "us-west-1"}
"""Where Amazon keeps a bucket: a request to another of its regions is turned away."""
MOST_BYTES = 1 << 28  # of one object read whole
STALLED = 1 / 6  # of the budget without a byte: the connection is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 8.0  # seconds
BAD_RANGE = 416
PASSING = (408, 425, 429)  # refusals that another attempt may not get
STATUS = re.compile(r"status code: (\d{3})")
CAUSE = re.compile(r"kind: (Connect|Timeout|Decode|Interrupted)\b")


def is_url(text: str) -> bool:
    """Whether an input names a bucket or web server, not a path."""
    return "://" in text


@dataclass(frozen=True)
class Bucket:
    """Where objects lie. Picklable; threads share the connections of equal buckets.

    Attributes:
        url: `s3://` or `gs://` with a bucket, or `https://` (`http://` on this machine), and perhaps a folder.
            An S3 server other than Amazon's is named by the environment variable AWS_ENDPOINT_URL.
        budget_seconds: how long one answer is tried for; no attempt begins later.
    """

    url: str
    budget_seconds: float = 120.0

    def get(self, key: str, *, most: int = MOST_BYTES) -> bytes | None:
        """The whole object; None where there is none.

        Raises:
            BadDataError: it has more than `most` bytes.
            MissingInputError: no such bucket, or no permission.
            TemporaryError: no whole answer within the budget.
        """
        import obstore  # noqa: PLC0415 - slow to import

        def whole(store: Store) -> bytes:
            result = obstore.get(store, key)
            if (size := result.meta["size"]) > most:
                raise BadDataError(f"{self.at(key)}: {size} bytes where at most {most} are read; check the archive")
            return self._exactly(key, bytes(result.bytes()), size)

        return self._ask(key, whole)

    def ranges(self, key: str, places: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """The bytes at each (offset, length) of an object, fetched together; None where there is no object.

        Raises:
            BadDataError: the object ends before.
            MissingInputError: no such bucket, or no permission.
            TemporaryError: no whole answer within the budget.
        """
        return self._ask(key, lambda store: list(in_threads(partial(self._part, store, key), places)))

    def size(self, key: str) -> int | None:
        """The bytes of an object; None where there is none.

        Raises:
            MissingInputError: no permission.
            TemporaryError: no answer within the budget.
        """
        import obstore  # noqa: PLC0415 - slow to import

        return self._ask(key, lambda store: obstore.head(store, key)["size"])

    def at(self, key: str) -> str:
        """The URL of an object."""
        return f"{self.url.rstrip('/')}/{key}"

    def _ask(self, key: str, question: Callable[[Store], Answer]) -> Answer | None:
        """The answer to `question`, asked again after ever longer pauses while it may still come."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - slow to import

        store = open_store(self.url, self.budget_seconds, os.environ.get("AWS_ENDPOINT_URL"))
        deadline, pause = time.monotonic() + self.budget_seconds, FIRST_PAUSE
        while True:
            try:
                return question(store)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise MissingInputError(f"{self.url}: no such bucket; check the name") from None
                return None
            except BaseError as error:
                self._refuse(key, error)
                if time.monotonic() + pause > deadline:
                    raise self._given_up(key, error) from None
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that threads do not come back as one
            pause = min(2 * pause, LONGEST_PAUSE)

    def _part(self, store: Store, key: str, place: tuple[int, int]) -> bytes:
        """The bytes at one place, and no more of a body that does not end there."""
        import obstore  # noqa: PLC0415 - slow to import

        offset, length = place
        content = bytearray()
        for block in obstore.get(store, key, options={"range": (offset, offset + length)}).stream():
            content += block
            if len(content) > length:
                break
        return self._exactly(key, bytes(content), length)

    def _refuse(self, key: str, error: Exception) -> None:
        """Raise where the answer will stay what it is."""
        status = _status(error)
        if status == BAD_RANGE:
            raise BadDataError(f"{self.at(key)}: ends before the bytes asked for; check the archive")
        if 400 <= status < 500 and status not in PASSING:
            raise MissingInputError(f"{self.at(key)}: refused with status {status}; name a bucket that all may read")

    def _exactly(self, key: str, answer: bytes, size: int) -> bytes:
        if len(answer) != size:
            raise BadDataError(f"{self.at(key)}: {len(answer)} bytes where {size} were asked for; check the archive")
        return answer

    def _given_up(self, key: str, error: Exception) -> TemporaryError:
        return TemporaryError(
            f"{self.at(key)}: no whole answer in {self.budget_seconds:g} s ({_reason(error)}); "
            "check the address and the network, and run the same command again"
        )


@lru_cache(maxsize=16)
def open_store(url: str, budget_seconds: float, endpoint: str | None) -> Store:
    """The connections to a bucket.

    Raises:
        UsageError: no URL of a scheme that is read, or plain http to another machine.
    """
    from obstore.store import GCSStore, HTTPStore, S3Store  # noqa: PLC0415 - slow to import

    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise UsageError(f"{url}: not a bucket; write s3://bucket, gs://bucket or https://server/folder")
    options, retries = _options(endpoint if parts.scheme == "s3" and endpoint else url, budget_seconds)
    prefix = parts.path.strip("/") or None
    if parts.scheme == "gs":
        return GCSStore(parts.netloc, prefix=prefix, skip_signature=True, client_options=options, retry_config=retries)
    if parts.scheme == "s3":
        config: S3Config = {"region": ELSEWHERE.get(parts.netloc, REGION), "skip_signature": True}
        if endpoint:
            config["endpoint"] = endpoint
        return S3Store(parts.netloc, prefix=prefix, config=config, client_options=options, retry_config=retries)
    return HTTPStore(url, client_options=options, retry_config=retries)


def _options(server: str, budget_seconds: float) -> tuple[ClientConfig, RetryConfig]:
    """How a server is spoken to: plain http only on this machine, and no patience with a silent one."""
    parts = urlsplit(server)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UsageError(f"{server}: plain http to another machine; write https")
    stalled = timedelta(seconds=budget_seconds * STALLED)
    options: ClientConfig = {
        "allow_http": parts.scheme == "http",
        "connect_timeout": stalled,
        "read_timeout": stalled,
        "timeout": timedelta(seconds=budget_seconds),
    }
    return options, {"max_retries": 0, "retry_timeout": timedelta(seconds=budget_seconds)}


def _status(error: Exception) -> int:
    """The HTTP status that the answer came with; 0 where none came."""
    found = STATUS.search(str(error))
    return int(found[1]) if found else 0


def _reason(error: Exception) -> str:
    """What went wrong in a few words: obstore's first line without the answer's body, and the cause below it."""
    line = str(error).partition("\n")[0].partition("<")[0].rpartition(" - ")[2].strip(" :")
    cause = CAUSE.search(str(error))
    return f"{line}, {cause[1].lower()}" if cause else line
