"""The integers of GRIB2 sections, by the number of their first octet."""

from __future__ import annotations

from weatherml.errors import BadDataError


class GribError(BadDataError):
    """What is wrong with a message; whoever reads the file adds its name."""


def unsigned(section: bytes, octet: int, size: int = 1) -> int:
    """The `size` octets from `octet` on, big-endian."""
    return int.from_bytes(section[octet - 1 : octet - 1 + size], "big")


def signed(section: bytes, octet: int, size: int) -> int:
    """GRIB's signed integers: the first bit is the sign, the others the magnitude."""
    value, sign = unsigned(section, octet, size), 1 << (8 * size - 1)
    return sign - value if value & sign else value
