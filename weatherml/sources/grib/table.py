"""Where the fields of each time lie, as plain numbers: an archive of years in a few MB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.sources.grib.index import State

Array = npt.NDArray[Any]
ROW = np.dtype([("file", "i4"), ("offset", "i8"), ("length", "i8"), ("number", "i2")])


@dataclass(frozen=True, kw_only=True)
class PlaceTable:
    """Times, and the places of their fields.

    Attributes:
        times: (N,) datetime64[s].
        files: the paths that `rows` counts.
        rows: (N, C) of `ROW`: file, first byte and length of the message, number of the field in it.
    """

    times: Array
    files: tuple[Path, ...]
    rows: Array

    @classmethod
    def of(cls, states: Mapping[np.datetime64, State], names: Sequence[str]) -> PlaceTable:
        """The table of some times' states, with the variables in the order of `names`."""
        places = [[state[name] for name in names] for state in states.values()]
        number = {path: index for index, path in enumerate(dict.fromkeys(p.path for row in places for p in row))}
        rows = [[(number[p.path], p.field.offset, p.field.length, p.field.number) for p in row] for row in places]
        return cls(times=np.array(list(states), "datetime64[s]"), files=tuple(number), rows=np.array(rows, ROW))

    def row(self, time: np.datetime64) -> list[tuple[Path, int, int, int]]:
        """File, offset, length and number of each variable's field at `time`."""
        return [(self.files[file], *place) for file, *place in self.rows[self._position(time)].tolist()]

    def only(self, time: np.datetime64) -> PlaceTable:
        """The table of this one time."""
        rows = self.rows[[self._position(time)]]
        used, rows["file"] = np.unique(rows["file"], return_inverse=True)
        return PlaceTable(times=np.array([time]), files=tuple(self.files[file] for file in used), rows=rows)

    def _position(self, time: np.datetime64) -> int:
        (found,) = np.nonzero(self.times == time)
        if not len(found):
            raise BadDataError(f"{time}Z: not among the {len(self.times)} times; read times of the description")
        return int(found[0])
