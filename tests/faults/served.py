"""An archive served on loopback, and answers that no archive should give."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.archive_server import FAULTS, ArchiveServer
from weatherml.errors import BadDataError
from weatherml.sources.hrrr import HRRR

ENTRY = "tests.faults.served:read_served"
KEYS = [f"hrrr.20240601/conus/hrrr.t{hour:02}z.wrfsfcf00.grib2" for hour in range(3)]
HOURS = {"start": "2024-06-01T00:00Z", "end": "2024-06-01T02:00Z"}
BUDGET_S, LONG_S = 0.6, 6.0
"""A sixth of it in silence, and the connection is given up. In the long one a body without end could fill gigabytes."""
BLOCK = bytes(1 << 20)
Answer = Callable[[Any, bytes, str | None], None]
"""To a handler of `ArchiveServer`, the right content and the `Range` that was asked for."""


def read_served(arguments: Sequence[str]) -> None:
    """What `wml prepare` reads of an archive, in this process: says what is left out, and a digest of each hour.

    Args:
        arguments: the archive's folder, then perhaps the name of an answer and the end of the key that it is given to.
    """
    folder, *fault = arguments
    with ArchiveServer() as server:
        for path in filter(Path.is_file, Path(folder).rglob("*")):
            server.files[path.relative_to(folder).as_posix()] = path.read_bytes()
        if fault:
            answer, end = fault
            FAULTS[answer] = ANSWERS[answer]
            server.fault(f"{KEYS[1]}{end}", answer)
        budget = BUDGET_S if fault and not fault[0].startswith("endless, ") else LONG_S
        source = HRRR(**HOURS, budget_seconds=budget).build([server.url])
        for line in [*source.quarantined.values(), *source.describe().notes]:
            print(f"left out: {line}")
        for time in source.times:
            try:
                (frame,) = source.read(np.array([time]))
            except BadDataError as error:
                print(f"left out: {error}")
            else:
                print(f"{time} {hashlib.sha256(b''.join(map(bytes, frame.values()))).hexdigest()}")


def span(content: bytes, asked: str | None, shift: int = 0) -> tuple[int, bytes]:
    """The first byte of what was asked for, or of as much elsewhere, and the bytes."""
    first, last = (int(end) for end in asked.removeprefix("bytes=").split("-")) if asked else (0, len(content) - 1)
    start = min(first + shift, len(content) - 1)
    return start, content[start : last + 1 + shift]


def told(first: int, part: bytes, size: object) -> dict[str, str]:
    """The header that says which range it is."""
    return {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}"}


def ranged(*, shift: int = 0, honest: bool = True, times: int = 1) -> Answer:
    """Other bytes than were asked for, or more, whether or not the header says so."""

    def answer(handler: Any, content: bytes, asked: str | None) -> None:
        first, part = span(content, asked, shift)
        handler.answer(206, part * times, **told(first if honest else first - shift, part, len(content)))

    return answer


def headed(status: int = 206, **headers: str) -> Answer:
    """The right bytes under a strange status or header."""

    def answer(handler: Any, content: bytes, asked: str | None) -> None:
        first, part = span(content, asked)
        handler.answer(status, part, **(told(first, part, len(content)) if asked else {}) | _named(headers))

    return answer


def bodied(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Any body."""
    return lambda handler, content, asked: handler.answer(status, body, **_named(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): text for name, text in headers.items()}


def packed(handler: Any, content: bytes, asked: str | None) -> None:
    """A body that says that it is compressed, and would inflate to a gigabyte."""
    first, part = span(content, asked)
    body = gzip.compress(BLOCK * 1024, 1)[: len(part)].ljust(len(part))
    handler.answer(206, body, **told(first, part, len(content)), **_named({"Content_Encoding": "gzip"}))


def streamed(block: bytes, pause: float, length: int | None = None, *, head: bool = False) -> Answer:
    """A body that does not end, in blocks after pauses, of a length that is huge or not said; perhaps also by HEAD."""

    def answer(handler: Any, content: bytes, asked: str | None) -> None:
        if handler.command == "HEAD" and not head:
            handler.serve(content, asked)
            return
        first, part = span(content, asked)
        handler.send_response(206 if asked else 200)
        for name, text in told(first, part, len(content)).items():
            handler.send_header(name, text)
        handler.send_header(*(("Connection", "close") if length is None else ("Content-Length", f"{length}")))
        handler.end_headers()
        handler.close_connection = True
        while not handler.archive.closing.wait(pause):
            handler.wfile.write(block)
            handler.wfile.flush()

    return answer


def raw(start: bytes, block: bytes = b"") -> Answer:
    """Bytes instead of a status line, and perhaps others after them for ever."""

    def answer(handler: Any, content: bytes, asked: str | None) -> None:
        handler.wfile.write(start)
        handler.close_connection = True
        while block and not handler.archive.closing.is_set():
            handler.wfile.write(block)

    return answer


ANSWERS: dict[str, Answer] = {
    "noise": lambda handler, content, asked: handler.answer(
        206, np.random.default_rng(0).bytes(len(span(content, asked)[1])), **told(*span(content, asked), len(content))
    ),
    "a page": bodied(b"<html>\nerror: sign in\n</html>", Content_Type="text/html"),
    "nothing": bodied(b""),
    "nothing of a range": bodied(b"", 206, Content_Range="bytes 0-0/0"),
    "no content": bodied(b"", 204),
    "another range, said": ranged(shift=100),
    "another range, not said": ranged(shift=100, honest=False),
    "twice as much": ranged(times=2),
    "a range of no size": headed(Content_Range="bytes 0-8/*"),
    "a huge range": headed(Content_Range=f"bytes 0-{2**64 - 1}/{2**64}"),
    "a range turned round": headed(Content_Range="bytes 9-3/12"),
    "a range of words": headed(Content_Range="bytes x-y/z"),
    "no date": headed(Last_Modified="yesterday"),
    "packed": packed,
    "endless": streamed(BLOCK, 0.0),
    "endless, of a length": streamed(BLOCK, 0.0, 1 << 50),
    "endless, as HEAD says": streamed(BLOCK, 0.0, 1 << 50, head=True),
    "in drops": streamed(b"G", 0.02),
    "in drops, of a length": streamed(b"G", 0.02, 999),
    "round and round": headed(302, Location="/hrrr.20240601"),
    "elsewhere": headed(302, Location="http://127.0.0.1:1/"),
    "a file of this machine": headed(302, Location="file:///etc/passwd"),
    "forbidden": headed(403),
    "gone": bodied(b"status code: 200", 404),
    "busy": bodied(b"error: one\nerror: two\nTraceback", 500),
    "an unknown status": headed(799),
    "not changed": bodied(b"", 304),
    "no protocol": raw(b"\x00\xff" * 999 + b"\r\n\r\n"),
    "endless headers": raw(b"HTTP/1.1 206 OK\r\n", b"X-A: 1\r\n" * 4096),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nGRIB"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nGRIB"),
    "broken chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nGRIB"),
}
"""By name."""
