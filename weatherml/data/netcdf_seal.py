"""A seal on a NetCDF file: the SHA-256 of all its bytes, in a line behind them.

A digest of the file cannot lie inside of it. One of its content, in an attribute, would be known only after HDF5 has
read everything, headers included, and a changed header may crash it. A line behind the end covers every byte and is
compared before HDF5 opens the file. HDF5's superblock names the end, so that readers of NetCDF-4 leave alone what
follows; programs that change or copy the content drop the line, and what they write is read as any file without one.
"""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path
from typing import BinaryIO, Literal, cast, get_args

from weatherml.errors import BadDataError

Kind = Literal["forecast", "predictions"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LINE = "\n{kind:11} SHA-256 of all bytes before this line: {digest}\n"
SEAL = re.compile(LINE.format(kind=f"({'|'.join(KINDS)})[ ]*", digest="([0-9a-f]{64})").encode())
LENGTH = len(LINE.format(kind="", digest="0" * 64))
HEAD = struct.Struct("<12sQQQ")
"""Of HDF5's superblock 2: signature, version and sizes; base address, extension, and the end of the file."""
SIGNATURE = b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00"
BLOCK = 1 << 20


def seal(path: Path, kind: Kind) -> None:
    """Put the seal, which says what it is a file of, behind one that is written and closed."""
    with path.open("a+b") as file:
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(LINE.format(kind=kind, digest=digest).encode())


def sealed_as(path: Path) -> Kind | None:
    """What a file is by its seal; None without one. What HDF5 makes of the file is not asked."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        found = _seal(file)
    return cast(Kind, found[1].decode()) if found else None


def verify_seal(path: Path) -> bool:
    """Compare a file with its seal.

    Returns:
        Whether it carries one: not what other programs wrote, nor a folder.

    Raises:
        BadDataError: the file or its seal was changed, or is cut short.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        size, end, found = path.stat().st_size, _end(file), _seal(file)
        if found is None and (end is None or size == end or size > end + LENGTH):
            return False
        if found is not None and found[2] == _sha256(file, size - LENGTH):
            return True
    raise BadDataError(f"{path}: changed or cut short since it was written; restore it, or make it again")


def _end(file: BinaryIO) -> int | None:
    """Where HDF5 ends, as the file says itself; None of other formats."""
    signature, _, _, end = HEAD.unpack(file.read(HEAD.size).ljust(HEAD.size, b"\0"))
    return int(end) if signature == SIGNATURE else None


def _seal(file: BinaryIO) -> re.Match[bytes] | None:
    """Kind and digest behind the end; None where nothing of their form is there."""
    file.seek(max(0, file.seek(0, 2) - LENGTH))
    return SEAL.fullmatch(file.read(LENGTH))


def _sha256(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, size, BLOCK):
        digest.update(file.read(min(BLOCK, size - start)))
    return digest.hexdigest().encode()
