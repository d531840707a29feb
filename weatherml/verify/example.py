"""The case that the report shows: the one with the liveliest truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weatherml.verify.cases import Cases
from weatherml.verify.scoring import Reader
from weatherml.verify.truth import Array, Frames, Truth

STORM = "refc"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case of one forecast.

    Attributes:
        forecast: its name.
        init_time: datetime64[s].
        lead_hours: (L,).
        fields: by variable, (forecast, truth), each (L, H, W); of an ensemble the first member.
        members: M of the forecast.
        animated: the variable of the animation.
    """

    forecast: str
    init_time: np.datetime64
    lead_hours: list[float]
    fields: dict[str, tuple[Array, Array]]
    members: int
    animated: str


class Spotlight:
    """Remembers the case in which the animated variable varies most in the truth."""

    def __init__(self, cases: Cases) -> None:
        self.variable = animated_variable(cases.variables)
        self.init_time = cases.init_times[0]
        self.most = -1.0

    def see(self, init_time: np.datetime64, fields: Frames) -> None:
        """Look at the truth of one case; leads without truth count as calm."""
        values = fields[self.variable]
        known = np.isfinite(values)
        variance = float(np.var(values, where=known)) * float(known.mean()) if known.any() else 0.0
        if variance > self.most:
            self.most, self.init_time = variance, init_time


def animated_variable(names: list[str]) -> str:
    """Reflectivity where there is some, else the first variable."""
    return STORM if STORM in names else names[0]


def read_example(forecast: Reader, truth: Truth, cases: Cases, init_time: np.datetime64) -> Example:
    """Read one case of a forecast and its truth."""
    times = init_time + cases.lead_times
    known = truth.has(times)
    fields = {}
    members = 1
    for name in cases.variables:
        states = forecast.read(init_time, cases.lead_times, name)
        members = states.shape[1]
        observed = np.full_like(states[:, 0], np.nan)
        observed[known] = truth.read(times[known], [name])[name]
        fields[name] = (states[:, 0], observed)
    return Example(
        forecast=forecast.name,
        init_time=init_time,
        lead_hours=cases.lead_hours,
        fields=fields,
        members=members,
        animated=animated_variable(cases.variables),
    )
