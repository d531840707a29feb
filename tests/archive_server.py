"""A web server on loopback that answers ranges like an archive, and misbehaves on request."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from weatherml.sources import grib
from weatherml.sources.hrrr import CHANNEL_KEYS, SIDECARS, STATIC_KEYS


class ArchiveServer:
    """Serves `files`; a path in `faults` misbehaves for its first `n` requests, or always.

    Attributes:
        files: content by path, without the leading slash.
        faults: kind of `FAULTS` and remaining requests by path.
        requests: the method, path and Range header of each request that came.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, tuple[str, int]] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"archive": self})
        self.http = _Server(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def fault(self, path: str, kind: str, times: int = 1 << 30) -> None:
        """Answer the next `times` requests for `path` with a fault."""
        assert kind in FAULTS
        self.faults[path] = (kind, times)

    def next_fault(self, path: str) -> str:
        with self.lock:
            kind, left = self.faults.get(path, ("", 0))
            self.faults[path] = (kind, left - 1)
        return kind if left > 0 else ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken pipes are what the faults are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    archive: ArchiveServer

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = self.headers.get("Range")
        self.archive.requests.append((self.command, path, asked))
        content = self.archive.files.get(path)
        fault = self.archive.next_fault(path)
        if content is None:
            self.answer(404, b"")
        elif fault:
            FAULTS[fault](self, content, asked)
        else:
            self.serve(content, asked)

    def serve(self, content: bytes, asked: str | None) -> None:
        if asked is None:
            self.answer(200, content)
            return
        first, last = (int(end) for end in asked.removeprefix("bytes=").split("-"))
        if first >= len(content):
            self.answer(416, b"")
            return
        part = content[first : last + 1]
        self.answer(206, part, **{"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"})

    def answer(self, status: int, body: bytes, *, declared: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            self.wfile.flush()


def _truncate(handler: _Handler, content: bytes, asked: str | None) -> None:
    """Half of the body, then the connection closes."""
    first, last = (int(end) for end in asked.removeprefix("bytes=").split("-")) if asked else (0, len(content) - 1)
    part = content[first : last + 1]
    headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"} if asked else {}
    handler.answer(206 if asked else 200, part[: len(part) // 2], declared=len(part), **headers)
    handler.close_connection = True


def _short(handler: _Handler, content: bytes, asked: str | None) -> None:
    """A whole answer of an object that has lost its second half."""
    handler.serve(content[: len(content) // 2], asked)


def _wrong(handler: _Handler, content: bytes, asked: str | None) -> None:
    """The right length, and every byte inverted."""
    handler.serve(content.translate(bytes(range(255, -1, -1))), asked)


def _stall(handler: _Handler, content: bytes, asked: str | None) -> None:
    """No answer until the server closes."""
    handler.archive.closing.wait(30)
    handler.close_connection = True


def _drop(handler: _Handler, content: bytes, asked: str | None) -> None:
    """The connection closes before the answer."""
    handler.close_connection = True
    handler.connection.close()


FAULTS: dict[str, Callable[[_Handler, bytes, str | None], None]] = {
    "truncate": _truncate,
    "short": _short,
    "wrong": _wrong,
    "stall": _stall,
    "drop": _drop,
    "whole": lambda handler, content, asked: handler.answer(200, content),  # 200 for a range
    "error": lambda handler, content, asked: handler.answer(503, b"<Error>slow down</Error>"),
    "forbidden": lambda handler, content, asked: handler.answer(403, b""),
}


def archived(files: Iterable[Path]) -> dict[str, bytes]:
    """GRIB files of HRRR and their indices, by the keys of the public buckets."""
    found = {}
    for file in files:
        content = file.read_bytes()
        key = f"{file.parent.name}/conus/{file.name}"
        found[key], found[f"{key}.idx"] = content, sidecar(content)
    return found


def sidecar(content: bytes) -> bytes:
    """The `.idx` file that wgrib2 would write, of the messages that have a form; `UNKNOWN:level n` of others."""
    forms = CHANNEL_KEYS | STATIC_KEYS
    lines = []
    for number, field in enumerate(grib.scan(io.BytesIO(content), len(content)), 1):
        form = next((SIDECARS[name] for name, keys in forms.items() if field.matches(keys)), f"UNKNOWN:{number}")
        hours = field.lead // np.timedelta64(1, "h")
        when = str(field.reference.astype("datetime64[h]")).replace("-", "").replace("T", "")
        forecast = f"{hours} hour fcst" if hours else "anl"
        lines.append(f"{number}:{field.offset}:d={when}:{form}:{forecast}:\n")
    return "".join(lines).encode()
