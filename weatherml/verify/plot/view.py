"""What of a forecast is seen: a member, or a figure made of all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weatherml.errors import UsageError
from weatherml.variables import Variable
from weatherml.verify.colors import Scale, field_scale, probability_scale, spread_scale
from weatherml.verify.example import middle_threshold

Array = npt.NDArray[Any]
Shown = Literal["field", "mean", "spread", "probability"]
SHOWN: tuple[Shown, ...] = ("field", "mean", "spread", "probability")


@dataclass(frozen=True, kw_only=True)
class View:
    """What to draw.

    Attributes:
        variable: by name; None takes reflectivity where there is some, else the first.
        init_time: None takes the first.
        lead_hours: of a single picture; None takes the last.
        shown: a member's field, or of all members the mean, the spread, or the probability of an event.
        member: whose field.
        threshold: of the event, in the variable's units; None takes the middle one of the variable's.
    """

    variable: str | None = None
    init_time: np.datetime64 | None = None
    lead_hours: float | None = None
    shown: Shown = "field"
    member: int = 0
    threshold: float | None = None

    def reduce(self, members: Array, variable: Variable) -> Array:
        """(M, H, W) to what is shown, (H, W)."""
        reductions: dict[Shown, Callable[[], Array]] = {
            "field": lambda: members[self.member],
            "mean": lambda: members.mean(0),
            "spread": lambda: members.std(0, ddof=1),
            "probability": lambda: self._probability(members, variable),
        }
        return reductions[self.shown]()

    def require(self, variable: str, members: int) -> None:
        """Refuse what a forecast with this many members of a variable cannot show.

        Raises:
            UsageError: no such member, or no members.
        """
        if not 0 <= self.member < members:
            raise UsageError(f"--member {self.member}: the forecast has {members}; count them from 0")
        if members == 1 and self.shown in ("spread", "probability"):
            raise UsageError(f"--show {self.shown}: {variable} has one member; make more with `wml ensemble`")

    def scale(self, variable: Variable, values: Array) -> Scale:
        """The colours of what is shown."""
        if self.shown == "probability":
            return probability_scale()
        return spread_scale(values) if self.shown == "spread" else field_scale(variable, values)

    def title(self, variable: Variable) -> str:
        """What is shown, in words with units."""
        side = ">=" if variable.event == "above" else "<="
        titles: dict[Shown, Callable[[], str]] = {
            "field": lambda: variable.label,
            "mean": lambda: f"mean of {variable.label}",
            "spread": lambda: f"spread of {variable.label}",
            "probability": lambda: (
                f"probability of {variable.long_name or variable.name} {side} {self.event(variable):g} {variable.units}"
            ),
        }
        return titles[self.shown]()

    def event(self, variable: Variable) -> float:
        """The event's threshold.

        Raises:
            UsageError: the variable has none of its own.
        """
        threshold = middle_threshold(variable) if self.threshold is None else self.threshold
        if threshold is None:
            raise UsageError(f"--show probability: {variable.name} has no usual threshold; name one with --threshold")
        return threshold

    def _probability(self, members: Array, variable: Variable) -> Array:
        events = variable.reaches(members, self.event(variable))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a point that no member knows
            return np.asarray(np.nanmean(np.where(np.isfinite(members), events, np.nan), axis=0))
