"""The cases that the report shows: the liveliest one, and the best, the median and the worst forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weatherml.variables import Variable
from weatherml.verify.files.truth import Array, Truth
from weatherml.verify.scores.scores import Scores, headline_leads
from weatherml.verify.scoring.case import Reader

STORM = "refc"
RANKS = ("best", "median", "worst")


@dataclass(frozen=True, kw_only=True)
class ExampleFields:
    """One variable of a case at some leads.

    Attributes:
        lead_hours: (l,).
        truth: (l, H, W); NaN where there is none.
        forecast: (l, H, W), of an ensemble the first member.
        mean: (l, H, W), of all members.
        spread: (l, H, W), their standard deviation; 0 of a deterministic forecast.
        probability: (l, H, W), the share of members beyond the middle threshold; None of a variable without any.
    """

    lead_hours: list[float]
    truth: Array
    forecast: Array
    mean: Array
    spread: Array
    probability: Array | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case of one forecast.

    Attributes:
        init_time: datetime64[s].
        error: its mean error in the animated variable; NaN where it has none.
        fields: by variable.
    """

    init_time: np.datetime64
    error: float
    fields: dict[str, ExampleFields]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The cases of one forecast that are shown.

    Attributes:
        forecast: its name.
        members: M.
        animated: the variable of the animation and of the ranked cases.
        spotlight: the liveliest case: of the animated variable all leads, of the others those that maps show.
        ranked: the best, the median and the worst case, the animated variable alone.
        rival: name and (L, H, W) of what is animated beside it: another forecast, or the first baseline.
    """

    forecast: str
    members: int
    animated: str
    spotlight: Example
    ranked: dict[str, Example]
    rival: tuple[str, Array] | None


def animated_variable(names: list[str]) -> str:
    """Reflectivity where there is some, else the first variable."""
    return STORM if STORM in names else names[0]


def middle_threshold(variable: Variable) -> float | None:
    """The threshold that stands for a variable where there is room for one; None of a variable without any."""
    return variable.thresholds[len(variable.thresholds) // 2] if variable.thresholds else None


def read_gallery(files: Sequence[Reader], references: Sequence[Reader], store: Truth, scores: Scores) -> Gallery:
    """Read the cases of the first forecast that the report shows, and their truth."""
    forecast, cases = files[0], scores.cases
    animated = animated_variable(cases.variables)
    shown = cases.lead_times[headline_leads(cases.lead_hours)]
    errors = scores.case_errors.get(forecast.name, {}).get(animated, np.full(len(cases.init_times), np.nan))

    def read(init_time: np.datetime64, leads: dict[str, Array]) -> Example:
        fields = {name: _read_fields(forecast, store, init_time, times, name) for name, times in leads.items()}
        (index,) = np.flatnonzero(cases.init_times == init_time)
        return Example(init_time=init_time, error=float(errors[index]), fields=fields)

    spotlight = {name: cases.lead_times if name == animated else shown for name in cases.variables}
    rivals = [reader for reader in (*files[1:], *references) if animated in reader.variables]
    return Gallery(
        forecast=forecast.name,
        members=forecast.members,
        animated=animated,
        spotlight=read(scores.spotlight, spotlight),
        ranked={rank: read(cases.init_times[index], {animated: shown}) for rank, index in ranked_cases(errors).items()},
        rival=(rivals[0].name, _read_rival(rivals[0], scores, animated)) if rivals else None,
    )


def ranked_cases(errors: Array) -> dict[str, int]:
    """The cases (I,) with the least, the middle and the largest error, as far as they are three different ones."""
    order = np.argsort(errors)[: int(np.isfinite(errors).sum())]  # NaN comes last
    if len(order) < len(RANKS):
        return {}
    return dict(zip(RANKS, order[[0, (len(order) - 1) // 2, -1]].tolist(), strict=True))


def _read_rival(rival: Reader, scores: Scores, name: str) -> Array:
    leads = scores.cases.lead_times
    return np.stack([rival.read(scores.spotlight, leads[[index]], name)[0, 0] for index in range(len(leads))])


def _read_fields(
    forecast: Reader, store: Truth, init_time: np.datetime64, lead_times: Array, name: str
) -> ExampleFields:
    shape, threshold = (len(lead_times), *store.grid.shape), middle_threshold(store.variables[name])
    member, mean, spread, probability = (np.zeros(shape, np.float32) for _ in range(4))
    for index in range(len(lead_times)):  # the members of one lead may fill much of the memory
        states = forecast.read(init_time, lead_times[[index]], name)[0]
        member[index], mean[index] = states[0], states.mean(0)
        spread[index] = states.std(0, ddof=min(1, len(states) - 1))
        if threshold is not None:
            events = store.variables[name].reaches(states, threshold)
            probability[index] = np.where(np.isfinite(mean[index]), events.mean(0), np.nan)
    observed, known = np.full(shape, np.nan, np.float32), store.has(init_time + lead_times)
    observed[known] = store.read(init_time + lead_times[known], [name])[name]
    return ExampleFields(
        lead_hours=[float(hour) for hour in lead_times / np.timedelta64(1, "h")],
        truth=observed,
        forecast=member,
        mean=mean,
        spread=spread,
        probability=None if threshold is None else probability,
    )
