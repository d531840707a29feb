"""The framing of messages: from `GRIB` to `7777`, section by section; payloads are not read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from weatherml.sources.grib.headers import Field, field_of
from weatherml.sources.grib.octets import GribError

HEAD, END = b"GRIB", b"7777"
HEAD_SIZE = 16
MAX_HEADER = 1 << 16
HEADERS = (1, 3, 4)
BITMAP, DATA = 6, 7  # section numbers
BITMAP_BEFORE = 254  # in section 6: the bitmap of the field before applies
SUFFIXES = {".grib2", ".grb2", ".grib", ".grb"}


def is_grib(path: Path) -> bool:
    """Whether a file is GRIB by its name, or by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as stream:
        return stream.read(len(HEAD)) == HEAD


def scan(stream: BinaryIO, size: int) -> Iterator[Field]:
    """The fields of a file of `size` bytes, in order; payloads are not read.

    Raises:
        GribError: at the first broken message; what was yielded before it stands.
    """
    if not size:
        raise GribError("the file is empty")
    offset = 0
    while offset < size:
        length, discipline = _message_head(stream, offset, size)
        yield from _fields(stream, offset, length, discipline)
        offset += length


def extract(message: bytes, number: int) -> tuple[Field, bytes]:
    """The `number`-th field of a whole message: its headers, and a message that holds it alone.

    Raises:
        GribError: the message is broken, or has no such field.
    """
    stream = io.BytesIO(message)
    field = next((field for field in scan(stream, len(message)) if field.number == number), None)
    if field is None:
        raise GribError(f"the message has no field {number}")
    sections = _sections_of(message, number)
    content = b"".join(sections[kind] for kind in sorted(sections)) + END
    return field, message[:8] + (HEAD_SIZE + len(content)).to_bytes(8, "big") + content


def read_bytes(path: Path, offset: int, length: int) -> bytes:
    """The bytes of a place in a file, fewer where it has become shorter."""
    with path.open("rb") as stream:
        return _read(stream, offset, length)


def _sections_of(message: bytes, number: int) -> dict[int, bytes]:
    """The sections that hold for the `number`-th field: the latest of each kind up to its data."""
    sections: dict[int, bytes] = {}
    seen = -1
    for kind, start, size in _sections(io.BytesIO(message), 0, len(message)):
        body = message[start : start + size]
        if kind != BITMAP or body[5] != BITMAP_BEFORE:
            sections[kind] = body
        seen += kind == DATA
        if seen == number:
            break
    return sections


def _message_head(stream: BinaryIO, offset: int, size: int) -> tuple[int, int]:
    """Check section 0 and the end marker; the message's length and discipline."""
    head = _read(stream, offset, HEAD_SIZE)
    if head[:4] != HEAD:
        raise GribError(f"no GRIB message at byte {offset}")
    if len(head) < HEAD_SIZE:
        raise GribError(f"the message at byte {offset} ends after {len(head)} bytes")
    if head[7] != 2:
        raise GribError(f"GRIB edition {head[7]} at byte {offset}; edition 2 is read")
    length = int.from_bytes(head[8:16], "big")
    if length < HEAD_SIZE + len(END) or offset + length > size:
        raise GribError(f"the message at byte {offset} has {length} bytes and the file {size - offset} from there on")
    if _read(stream, offset + length - len(END), len(END)) != END:
        raise GribError(f"the message at byte {offset} does not end with 7777")
    return length, head[6]


def _sections(stream: BinaryIO, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, size) of each section of the message at `offset`."""
    position, end = offset + HEAD_SIZE, offset + length - len(END)
    while position < end:
        head = _read(stream, position, 5)
        size = int.from_bytes(head[:4], "big")
        if size < 5 or position + size > end or not 1 <= head[4] <= 7:
            raise GribError(f"the message at byte {offset} has a broken section at byte {position}")
        yield head[4], position, size
        position += size


def _fields(stream: BinaryIO, offset: int, length: int, discipline: int) -> Iterator[Field]:
    """The fields of one message: each ends with its data, under the latest sections 1, 3 and 4."""
    latest: dict[int, bytes] = {}
    number = 0
    for kind, start, size in _sections(stream, offset, length):
        if kind in HEADERS:
            latest[kind] = _read(stream, start, min(size, MAX_HEADER))
        if kind == DATA:
            field = _field(latest, discipline, offset, length, number)
            number += 1
            if field is not None:
                yield field


def _field(sections: Mapping[int, bytes], discipline: int, offset: int, length: int, number: int) -> Field | None:
    try:
        return field_of(sections, discipline, offset=offset, length=length, number=number)
    except (KeyError, ValueError, IndexError):
        raise GribError(f"the message at byte {offset} has unreadable headers") from None


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    return stream.read(size)
