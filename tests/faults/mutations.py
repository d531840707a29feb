"""What may happen to a file's bytes, each a function of the bytes and a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]
Fault = Callable[[bytes, np.random.Generator], bytes | None]
"""A mutation, or None: the file is lost."""
LONGEST = 64
"""Bytes that one mutation takes away, puts in or overwrites, where it does not cut the rest off."""


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit."""
    spoiled = bytearray(content)
    spoiled[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return bytes(spoiled)


def truncate(content: bytes, rng: np.random.Generator) -> bytes:
    """The rest is lost."""
    return content[: rng.integers(len(content))]


def delete(content: bytes, rng: np.random.Generator) -> bytes:
    """A span is left out."""
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    """Any bytes come between."""
    start, stop = _span(content, rng)
    return content[:start] + rng.bytes(stop - start) + content[start:]


def splice(content: bytes, rng: np.random.Generator) -> bytes:
    """A span stands where another stood."""
    start, stop = _span(content, rng)
    other = rng.integers(len(content))
    return content[:start] + content[other : other + stop - start] + content[stop:]


def zero(content: bytes, rng: np.random.Generator) -> bytes:
    """A span is zeros."""
    start, stop = _span(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def largest(content: bytes, rng: np.random.Generator) -> bytes:
    """Four bytes are all ones: the largest of any number."""
    at = int(rng.integers(len(content)))
    return (content[:at] + b"\xff" * 4 + content[at + 4 :])[: len(content)]


def lose(content: bytes, rng: np.random.Generator) -> None:
    """The file is not there any more."""


MUTATIONS: tuple[Mutation, ...] = (flip, truncate, delete, insert, splice, zero, largest)
FAULTS: tuple[Fault, ...] = (flip, lose, truncate)
"""What a disk does to a file; everything is to be found."""


@contextmanager
def spoiled(file: Path, fault: Fault, rng: np.random.Generator) -> Iterator[None]:
    """A file with a fault, as long as the block lasts."""
    sound = file.read_bytes()
    content = fault(sound, rng)
    try:
        file.unlink() if content is None else file.write_bytes(content)
        yield
    finally:
        file.write_bytes(sound)


def _span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + 1 + int(rng.integers(LONGEST)))
