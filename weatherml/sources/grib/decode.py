"""Values from messages: the one place where eccodes runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.sources.grib.octets import GribError

Array = npt.NDArray[Any]
MISSING = -1e30  # eccodes' default, 9999, is a possible value
ECCODES = Lock()
"""Its builds are not all safe with several threads."""


def decode(message: bytes, shape: tuple[int, int]) -> Array:
    """The values of a single-field message, (H, W) float32 in scanning order, NaN where the bitmap says missing.

    Raises:
        GribError: eccodes cannot decode it, or it has another number of points.
    """
    with ECCODES:
        values, masked = _values(message, shape)
    if masked:
        values[values == MISSING] = np.nan
    return values.astype(np.float32).reshape(shape)


def _values(message: bytes, shape: tuple[int, int]) -> tuple[Array, bool]:
    """All values, float64, and whether some of them stand for missing points.

    Raises:
        GribError: as `decode`; before memory is reserved for as many values as a damaged message may claim.
    """
    import pyproj  # noqa: F401, I001, PLC0415 - before eccodes: both bundle libproj, and the other order crashes at exit
    import eccodes  # noqa: PLC0415 - loads native libraries that only reading needs

    handle = None
    try:
        handle = eccodes.codes_new_from_message(message)
        eccodes.codes_set(handle, "missingValue", MISSING)
        if (size := eccodes.codes_get_size(handle, "values")) != shape[0] * shape[1]:
            raise GribError(f"{size} values for {shape[0]} x {shape[1]} points")
        return np.asarray(eccodes.codes_get_array(handle, "values")), bool(eccodes.codes_get(handle, "bitmapPresent"))
    except eccodes.CodesInternalError as error:
        raise GribError(f"eccodes: {error}") from None
    finally:
        if handle is not None:
            eccodes.codes_release(handle)


def decode_apart(candidates: Mapping[str, Iterator[bytes]], shape: tuple[int, int]) -> dict[str, Array]:
    """Each field from the first of its messages that can be decoded, in a process that a broken one may crash."""
    decoded: dict[str, Array] = {}
    while pending := {name: next(each, None) for name, each in candidates.items() if name not in decoded}:
        messages = {name: message for name, message in pending.items() if message is not None}
        if not messages:
            break
        decoded |= _decode_in_child(messages, shape)
    return decoded


def _decode_in_child(messages: Mapping[str, bytes], shape: tuple[int, int]) -> dict[str, Array]:
    decoded: dict[str, Array] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        futures = {name: pool.submit(decode, message, shape) for name, message in messages.items()}
        for name, future in futures.items():
            with suppress(BrokenProcessPool, GribError):
                decoded[name] = future.result()
    return decoded
