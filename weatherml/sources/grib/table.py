"""Where the fields of each time lie, as plain numbers: an archive of years in a few MB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError

Array = npt.NDArray[Any]
ROW = np.dtype([("file", "i4"), ("offset", "i8"), ("length", "i8"), ("number", "i2")])


class Spot(NamedTuple):
    """A field's place: first byte and length of its message in a file, and its number in the message."""

    path: Path
    offset: int
    length: int
    number: int


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
    def of(cls, states: Mapping[np.datetime64, Mapping[str, Spot]], names: Sequence[str]) -> PlaceTable:
        """The table of some times' states, with the variables in the order of `names`."""
        spots = [[state[name] for name in names] for state in states.values()]
        number = {path: index for index, path in enumerate(dict.fromkeys(spot.path for row in spots for spot in row))}
        rows = [[(number[path], *place) for path, *place in row] for row in spots]
        return cls(times=np.array(list(states), "datetime64[s]"), files=tuple(number), rows=np.array(rows, ROW))

    def row(self, time: np.datetime64) -> list[Spot]:
        """The place of each variable's field at `time`."""
        return [Spot(self.files[file], *place) for file, *place in self.rows[self._position(time)].tolist()]

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
