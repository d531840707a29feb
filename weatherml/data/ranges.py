"""How each variable is packed: by what is declared, else by its range, which is learned from all times.

The processes that read import this module: nothing heavy stands here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.packing import Packing, choose_packing
from weatherml.data.workers import each_time
from weatherml.errors import BadDataError, WMLError
from weatherml.sources.base import Description, Frame, Source

Array = npt.NDArray[Any]
UNDECLARED_FILL = 1e30
"""Larger values are fill values that a file does not declare (NetCDF's own is 9.97e36): they set no range."""


def packings(source: Source, description: Description, *, workers: int, dask: str | None) -> tuple[Packing, ...]:
    """A packing for each variable; those with neither a declared step nor a range are read once to learn it.

    Args:
        source: what is read.
        description: of it, with the times that ranges are learned from.
        workers: see `each_time`.
        dask: see `each_time`.

    Raises:
        BadDataError: no time can be read, or a variable has no value.
    """
    ranges = {variable.name: (variable.valid_min, variable.valid_max) for variable in description.variables}
    unknown = [v.name for v in description.variables if v.packing_step is None and None in ranges[v.name]]
    if unknown:
        ranges |= learn_ranges(source, description.times, unknown, workers=workers, dask=dask)
    return tuple(
        choose_packing(v, *(np.nan if end is None else end for end in ranges[v.name])) for v in description.variables
    )


def learn_ranges(
    source: Source, times: Array, names: list[str], *, workers: int, dask: str | None
) -> dict[str, tuple[float, float]]:
    """The smallest and largest value of each variable over all times."""
    extremes = each_time(source, times, partial(_extremes, names=names), workers=workers, dask=dask)
    found = [each for _, each in extremes if not isinstance(each, WMLError)]
    if not found:
        raise BadDataError(f"{', '.join(names)}: no readable time; check the input")
    low, high = np.fmin.reduce([f[0] for f in found]), np.fmax.reduce([f[1] for f in found])
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def _extremes(frame: Frame, names: list[str]) -> tuple[list[float], list[float]]:
    known = [frame[name][np.abs(frame[name]) < UNDECLARED_FILL] for name in names]
    return (
        [float(values.min()) if values.size else np.nan for values in known],
        [float(values.max()) if values.size else np.nan for values in known],
    )
