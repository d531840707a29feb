"""The finished scores, and the headline numbers among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.metrics.base import Diagram
from weatherml.variables import Variable
from weatherml.verify.scores.bootstrap import Curve
from weatherml.verify.scores.comparison import Comparisons
from weatherml.verify.scoring.case import TRUTH as TRUTH  # noqa: PLC0414 - a key of `spectra`, for who shows them
from weatherml.verify.scoring.case import Cards
from weatherml.verify.scoring.cases import Cases

Array = npt.NDArray[Any]
HEADLINE_HOURS = (1.0, 6.0, 12.0, 24.0)
SPECTRA = "log_spectral_distance"
Curves: TypeAlias = dict[str, dict[str, dict[str, Curve]]]
"""By forecast, variable and metric."""
Conditional: TypeAlias = dict[str, dict[str, Curves]]
"""By condition and label, the curves."""
Diagrams: TypeAlias = dict[str, dict[str, dict[str, Diagram]]]
"""By forecast, variable and metric."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What an evaluation found.

    Attributes:
        forecasts: names of the forecasts scored.
        baselines: names of the baselines.
        variables: what was scored, by name.
        cards: the metrics of each variable, by name.
        cases: initial and lead times.
        counts: by variable, the cases behind each lead, (L,).
        curves: by forecast, variable and metric; a baseline may lack a variable.
        comparisons: by forecast, reference (the baselines, then the other forecasts), variable and metric.
        conditions: by condition (`hour_of_day`, `regime`, `region`), label, forecast, variable and metric.
        case_errors: by forecast and variable, (I,) float64: the fair CRPS of each case over points and leads.
        spotlight: datetime64[s], the initial time of the case with the liveliest truth.
        diagrams: by forecast, variable and metric.
        spectra: by forecast (or `truth`) and variable, mean power at wavenumbers 1, 2, ..., (L, bins).
        metadata: of the evaluation, plain types.
    """

    forecasts: list[str]
    baselines: list[str]
    variables: dict[str, Variable]
    cards: Cards
    cases: Cases
    counts: dict[str, Tensor]
    curves: Curves
    comparisons: Comparisons
    conditions: Conditional
    case_errors: dict[str, dict[str, Array]]
    spotlight: np.datetime64
    diagrams: Diagrams
    spectra: dict[str, dict[str, Tensor]]
    metadata: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """Forecasts, then baselines."""
        return [*self.forecasts, *self.baselines]

    @property
    def headline_leads(self) -> list[int]:
        """Indices of the headline leads, of those that any case stands behind."""
        scored = torch.stack(list(self.counts.values())).sum(0) > 0
        leads = [index for index, some in enumerate(scored.tolist()) if some]
        return [leads[index] for index in headline_leads([self.cases.lead_hours[lead] for lead in leads])]


@dataclass(frozen=True, kw_only=True)
class Headline:
    """RMSE of one forecast at one lead beside its references'; NaN where nothing was scored.

    Attributes:
        forecast: its name.
        variable: what was forecast.
        units: of the variable.
        lead_hours: the lead time.
        rmse: of an ensemble its mean's.
        crps: fair; of a deterministic forecast its mean absolute error.
        baselines: RMSE by baseline.
        others: RMSE by other forecast.
        significant: references from which the RMSE differs by more than chance.
    """

    forecast: str
    variable: str
    units: str
    lead_hours: float
    rmse: float
    crps: float
    baselines: dict[str, float]
    others: dict[str, float]
    significant: frozenset[str]

    def gain(self, reference: str) -> float:
        """How much smaller the RMSE is than a reference's, in percent of it."""
        theirs = (self.baselines | self.others).get(reference, float("nan"))
        return 100 * (1 - self.rmse / theirs) if theirs > 0 else float("nan")


def headlines(scores: Scores) -> list[Headline]:
    """RMSE of each forecast and variable at 1, 6, 12 and 24 h, as far as they were scored."""
    return [
        headline(scores, name, variable, lead)
        for name in scores.forecasts
        for variable in scores.variables
        for lead in scores.headline_leads
    ]


def headline(scores: Scores, name: str, variable: str, lead: int) -> Headline:
    """What stands out of one forecast, variable and lead."""
    against = scores.comparisons.get(name, {})
    return Headline(
        forecast=name,
        variable=variable,
        units=scores.variables[variable].units,
        lead_hours=scores.cases.lead_hours[lead],
        rmse=_value(scores, name, variable, "rmse", lead),
        crps=_value(scores, name, variable, "crps", lead),
        baselines={other: _value(scores, other, variable, "rmse", lead) for other in scores.baselines},
        others={other: _value(scores, other, variable, "rmse", lead) for other in scores.forecasts if other != name},
        significant=frozenset(
            other for other, found in against.items() if variable in found and found[variable]["rmse"].significant[lead]
        ),
    )


def headline_leads(hours: Sequence[float]) -> list[int]:
    """Indices of 1, 6, 12 and 24 h; where none of them is there, first, middle and last."""
    found = [index for index, hour in enumerate(hours) if hour in HEADLINE_HOURS]
    return found or sorted({0, (len(hours) - 1) // 2, len(hours) - 1})


def _value(scores: Scores, name: str, variable: str, metric: str, lead: int) -> float:
    found = scores.curves[name].get(variable)
    return float(found[metric].value[lead]) if found else float("nan")
