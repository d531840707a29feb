"""The group `summary` of a dataset: a few numbers of each time, so that no field need be read again for them.

| array | dimensions | |
|---|---|---|
| `moments` | time, channel, moment | of the transformed values and their one-step change (`statistics.ROW`) |
| `values` | time, channel, value | physical minimum, maximum and mean, and the share of missing points |
| `activity` | time, event | share of the known points that reach each threshold of the variables |

It is written shard by shard with the fields. Rows of `moments` add up to the statistics of any run of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from weatherml.data.layout import add_rows
from weatherml.data.rows import read_rows
from weatherml.data.statistics import ROW
from weatherml.data.tally import Row
from weatherml.errors import BadDataError, MissingInputError
from weatherml.variables import Variable

Array = npt.NDArray[Any]
SUMMARY = "summary"
VALUES = ("minimum", "maximum", "mean", "missing")
Event = tuple[str, float]
"""A variable and one of its thresholds."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A few numbers of each of N times, for C channels.

    Attributes:
        times: (N,) datetime64[s] UTC.
        minimum: (N, C) smallest physical value.
        maximum: (N, C) largest physical value.
        mean: (N, C) mean physical value.
        missing: (N, C) share of missing points.
        moments: (N, C, K) `statistics.ROW`, for `Statistics.of`.
        shares: (N,) by event, see `activity`.
    """

    times: Array
    minimum: Array
    maximum: Array
    mean: Array
    missing: Array
    moments: Array
    shares: dict[Event, Array]

    def activity(self, variable: str, threshold: float) -> Array:
        """(N,) share of the known points at which `variable` reaches `threshold`, one of its own.

        Raises:
            BadDataError: not one of its thresholds.
        """
        if (variable, threshold) not in self.shares:
            known = ", ".join(f"{of} {at:g}" for of, at in self.shares) or "none"
            raise BadDataError(f"{variable} {threshold:g}: no activity of it was kept; choose of {known}")
        return self.shares[variable, threshold]


def events(variables: Sequence[Variable]) -> list[Event]:
    """The thresholds of all variables, in order."""
    return [(variable.name, threshold) for variable in variables for threshold in variable.thresholds]


def add_summary(group: zarr.Group, variables: Sequence[Variable], *, times: int, shard: int) -> None:
    """Create the empty group for `times` times."""
    summary = group.create_group(SUMMARY, attributes={"channel": [variable.name for variable in variables]})
    channels = len(variables)
    add_rows(summary, "moments", (times, channels, len(ROW)), np.float64, ("time", "channel", "moment"), shard=shard)
    add_rows(summary, "values", (times, channels, len(VALUES)), np.float32, ("time", "channel", "value"), shard=shard)
    summary["moments"].attrs["moment"] = list(ROW)
    summary["values"].attrs["value"] = list(VALUES)
    if found := events(variables):
        add_rows(summary, "activity", (times, len(found)), np.float32, ("time", "event"), shard=shard)
        summary["activity"].attrs["event"] = [list(event) for event in found]


def summary_arrays(variables: Sequence[Variable]) -> list[str]:
    """The paths of the group's arrays in the store."""
    names = ("moments", "values", "activity") if events(variables) else ("moments", "values")
    return [f"{SUMMARY}/{name}" for name in names]


def summary_blocks(variables: Sequence[Variable], rows: Sequence[Sequence[Row]]) -> dict[str, Array]:
    """What goes into each of `summary_arrays`, from the rows of each time."""
    blocks = (
        np.array([[row.moments.row() for row in time] for time in rows]),
        np.array([[row.values for row in time] for time in rows]),
        np.array([[share for row in time for share in row.activity] for time in rows]),
    )
    return dict(zip(summary_arrays(variables), blocks, strict=False))


def read_summary(path: Path, group: zarr.Group, times: Array, channels: Sequence[str]) -> Summary:
    """Read the summary of these channels from the store at `path`.

    Raises:
        MissingInputError: the dataset was made by a version that kept none.
        BadDataError: damaged; names the array and the time.
    """
    if SUMMARY not in group:
        raise MissingInputError(f"{path}: has no {SUMMARY}, an earlier version made it; prepare it again")
    summary: Any = group[SUMMARY]
    chosen = [summary.attrs["channel"].index(name) for name in channels]
    read = {name: read_rows(path, group, f"{SUMMARY}/{name}", times) for name in summary}
    values = dict(zip(VALUES, np.moveaxis(read["values"][:, chosen], -1, 0), strict=True))
    listed = summary["activity"].attrs["event"] if "activity" in summary else []
    shares = {(of, at): read["activity"][:, i] for i, (of, at) in enumerate(listed) if of in channels}
    return Summary(times=times, moments=read["moments"][:, chosen], shares=shares, **values)
