"""The case that the report shows: the one with the liveliest truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weatherml.verify.cases import Cases
from weatherml.verify.scores import headline_leads
from weatherml.verify.scoring import Reader
from weatherml.verify.truth import Array, Frames, Truth

STORM = "refc"


@dataclass(frozen=True, kw_only=True)
class ExampleFields:
    """One variable of the case at some leads.

    Attributes:
        lead_hours: (l,).
        truth: (l, H, W); NaN where there is none.
        forecast: (l, H, W), of an ensemble the first member.
        mean: (l, H, W), of all members.
        spread: (l, H, W), their standard deviation; 0 of a deterministic forecast.
    """

    lead_hours: list[float]
    truth: Array
    forecast: Array
    mean: Array
    spread: Array


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case of one forecast.

    Attributes:
        forecast: its name.
        init_time: datetime64[s].
        fields: by variable; of the animated one all leads, of the others those that maps show.
        members: M of the forecast.
        animated: the variable of the animation.
    """

    forecast: str
    init_time: np.datetime64
    fields: dict[str, ExampleFields]
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
    animated = animated_variable(cases.variables)
    shown = headline_leads(cases.lead_hours)
    fields = {
        name: _read_fields(
            forecast, truth, init_time, cases.lead_times if name == animated else cases.lead_times[shown], name
        )
        for name in cases.variables
    }
    return Example(
        forecast=forecast.name, init_time=init_time, fields=fields, members=forecast.members, animated=animated
    )


def _read_fields(
    forecast: Reader, truth: Truth, init_time: np.datetime64, lead_times: Array, name: str
) -> ExampleFields:
    shape = (len(lead_times), *truth.grid.shape)
    member, mean, spread = (np.zeros(shape, np.float32) for _ in range(3))
    for index in range(len(lead_times)):  # the members of one lead may fill much of the memory
        states = forecast.read(init_time, lead_times[[index]], name)[0]
        member[index], mean[index] = states[0], states.mean(0)
        spread[index] = states.std(0, ddof=min(1, len(states) - 1))
    observed, known = np.full(shape, np.nan, np.float32), truth.has(init_time + lead_times)
    observed[known] = truth.read(init_time + lead_times[known], [name])[name]
    hours = [float(hour) for hour in lead_times / np.timedelta64(1, "h")]
    return ExampleFields(lead_hours=hours, truth=observed, forecast=member, mean=mean, spread=spread)
