"""Forecasts of an archive as sources: of each member the states of its leads, and the cases that all members have.

Each lead time is a source of its own, so that region, thinning and derived variables hold as for a dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.sources.base import Description, Frame, Source

Array = npt.NDArray[Any]
Pair = tuple[np.datetime64, np.datetime64]
"""Initial and valid time of a state."""


@dataclass(frozen=True, kw_only=True)
class ForecastSource(Source):
    """Forecasts by their states: a time to read is a pair, initial and valid.

    Attributes:
        leads: the source of each lead time; their times are valid times.
    """

    leads: Mapping[np.timedelta64, Source]

    @property
    def isolated(self) -> bool:  # type: ignore[override]
        """That of the archive."""
        return next(iter(self.leads.values())).isolated

    @property
    def threads(self) -> int:  # type: ignore[override]
        """Those of the archive."""
        return next(iter(self.leads.values())).threads

    def describe(self) -> Description:
        """That of the first lead time.

        Raises:
            BadDataError: another one has other variables or another grid.
        """
        return self._description

    @cached_property
    def _description(self) -> Description:
        first, *others = (source.describe() for source in self.leads.values())
        for lead, other in zip(list(self.leads)[1:], others, strict=True):
            if difference := _difference(first, other):
                raise BadDataError(f"lead {hours_of(lead)} h: {difference}; set variables to what all leads have")
        return first

    @cached_property
    def pairs(self) -> set[Pair]:
        """Initial and valid time of every state that is there."""
        return {(time - lead, time) for lead, source in self.leads.items() for time in source.describe().times}

    def absence(self, initial: np.datetime64, valid: np.datetime64) -> BadDataError:
        """Why there is no such state."""
        reasons = self.leads[valid - initial].describe().quarantined
        return BadDataError(reasons.get(f"{valid}Z", f"{valid}Z: not in the archive"))

    def narrowed(self, time: Any) -> ForecastSource:
        """This one state's source."""
        initial, valid = time
        return replace(self, leads={valid - initial: self.leads[valid - initial].narrowed(valid)})

    def read(self, times: Array) -> Iterator[Frame]:
        """The states of (N, 2) initial and valid times."""
        for initial, valid in times:
            yield from self.leads[valid - initial].read(np.array([valid]))


def common_description(members: Sequence[ForecastSource]) -> Description:
    """That of the first member.

    Raises:
        BadDataError: another one has other variables or another grid.
    """
    first, *others = (member.describe() for member in members)
    for number, other in enumerate(others, 1):
        if difference := _difference(first, other):
            raise BadDataError(
                f"member {number}: {difference}; members share a grid and variables, set those that all have"
            )
    return first


def whole_cases(members: Sequence[ForecastSource]) -> tuple[Array, dict[str, dict[str, str]]]:
    """The initial times (N,) at which every member has a state, and why the others are left out.

    Raises:
        BadDataError: there is none.
    """
    each: list[set[Any]] = [{initial for initial, _ in member.pairs} for member in members]
    left_out = {
        f"{initial}Z": {
            f"member {m}": "not in the archive, left out" for m, had in enumerate(each) if initial not in had
        }
        for initial in sorted(set.union(*each) - set.intersection(*each))
    }
    kept = np.array(sorted(set.intersection(*each)), "datetime64[s]")
    if not len(kept):
        raise BadDataError(f"{next(iter(left_out))}: no initial time has all {len(members)} members; set fewer")
    return kept, left_out


def _difference(first: Description, other: Description) -> str:
    """In words, what sets two lead times apart; empty where nothing does."""
    names, others = ([variable.name for variable in each.variables] for each in (first, other))
    return (
        f"{', '.join(others)} instead of {', '.join(names)}" if names != others else first.grid.difference(other.grid)
    )


def hours_of(lead: np.timedelta64) -> str:
    """A lead time in hours, without needless digits."""
    return f"{lead / np.timedelta64(1, 'h'):g}"
