"""The finished scores, and the forms in which they leave: JSON, xarray, and a table of headline numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from weatherml.variables import Variable
from weatherml.verify.cases import Cases
from weatherml.verify.diagrams import Diagrams, diagrams_json
from weatherml.verify.scoring import Cards
from weatherml.verify.tally import Curve, Tally, block_draws, curve

Array = npt.NDArray[Any]
HEADLINE_HOURS = (1.0, 6.0, 12.0, 24.0)
SPECTRA = "log_spectral_distance"
TRUTH = "truth"


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
        curves: by forecast, variable and metric.
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
    curves: dict[str, dict[str, dict[str, Curve]]]
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
    """RMSE of one forecast at one lead beside the baselines'; NaN where nothing was scored."""

    forecast: str
    variable: str
    units: str
    lead_hours: float
    rmse: float
    baselines: dict[str, float]

    def gain(self, baseline: str) -> float:
        """How much smaller the RMSE is than a baseline's, in percent of it."""
        reference = self.baselines[baseline]
        return 100 * (1 - self.rmse / reference) if reference > 0 else float("nan")


def finish(tally: Tally, cards: Cards, *, resamples: int, seed: int) -> dict[str, dict[str, dict[str, Curve]]]:
    """Every score with its interval, by forecast, variable and metric."""
    draws = block_draws(tally.blocks, resamples, seed)
    curves: dict[str, dict[str, dict[str, Curve]]] = {}
    for (name, variable, metric), sums in tally.sums.items():
        found = curve(cards[variable][metric], sums, tally.cases[variable], draws)
        curves.setdefault(name, {}).setdefault(variable, {})[metric] = found
    return curves


def mean_spectra(tally: Tally) -> dict[str, dict[str, Tensor]]:
    """Mean power spectra by forecast (and of the truth) and variable, (L, bins)."""
    spectra: dict[str, dict[str, Tensor]] = {}
    for (name, variable, metric), sums in tally.sums.items():
        if metric == SPECTRA:
            cases = tally.cases[variable].sum(0).unsqueeze(-1)
            spectra.setdefault(name, {})[variable] = sums["forecast_power"].sum(0) / cases
            spectra.setdefault(TRUTH, {})[variable] = sums["truth_power"].sum(0) / cases
    return spectra


def headlines(scores: Scores) -> list[Headline]:
    """RMSE of each forecast and variable at 1, 6, 12 and 24 h, as far as they were scored."""
    hours = scores.cases.lead_hours
    return [
        Headline(
            forecast=name,
            variable=variable,
            units=scores.variables[variable].units,
            lead_hours=hours[lead],
            rmse=_rmse(scores, name, variable, lead),
            baselines={baseline: _rmse(scores, baseline, variable, lead) for baseline in scores.baselines},
        )
        for name in scores.forecasts
        for variable in scores.variables
        for lead in scores.headline_leads
    ]


def headline_leads(hours: Sequence[float]) -> list[int]:
    """Indices of 1, 6, 12 and 24 h; where none of them is there, first, middle and last."""
    found = [index for index, hour in enumerate(hours) if hour in HEADLINE_HOURS]
    return found or sorted({0, (len(hours) - 1) // 2, len(hours) - 1})


def _rmse(scores: Scores, name: str, variable: str, lead: int) -> float:
    return float(scores.curves[name][variable]["rmse"].value[lead])


def to_json(scores: Scores) -> dict[str, Any]:
    """The content of scores.json; what was not scored is null."""
    hours = [_plain(hour) for hour in scores.cases.lead_hours]
    return {
        "forecasts": {
            name: {
                variable: {metric: _json_curve(found, hours) for metric, found in metrics.items()}
                for variable, metrics in variables.items()
            }
            for name, variables in scores.curves.items()
        },
        "diagrams": diagrams_json(scores.diagrams, hours),
        "cases": {
            variable: {"lead_hours": hours, "count": [int(number) for number in count]}
            for variable, count in scores.counts.items()
        },
        "metadata": scores.metadata,
    }


def _json_curve(found: Curve, hours: list[float]) -> dict[str, list[float | None]]:
    parts = {"value": found.value, "low": found.low, "high": found.high}
    return {
        "lead_hours": list(hours),
        **{name: [None if np.isnan(number) else number for number in part.tolist()] for name, part in parts.items()},
    }


def _plain(hour: float) -> float:
    return int(hour) if hour == int(hour) else round(hour, 6)


def to_xarray(scores: Scores) -> xr.Dataset:
    """The content of scores.nc: value, low and high over (forecast, variable, metric, lead_time), and spectra."""
    variables = list(scores.variables)
    metrics = list(dict.fromkeys(metric for card in scores.cards.values() for metric in card))
    shape = (len(scores.names), len(variables), len(metrics), len(scores.cases.lead_times))
    parts = {name: np.full(shape, np.nan) for name in ("value", "low", "high")}
    for i, name in enumerate(scores.names):
        for j, variable in enumerate(variables):
            for metric, found in scores.curves[name][variable].items():
                for part, values in parts.items():
                    values[i, j, metrics.index(metric)] = getattr(found, part)
    dims = ("forecast", "variable", "metric", "lead_time")
    counts = np.stack([scores.counts[variable].numpy() for variable in variables]).astype(np.int32)
    return xr.Dataset(
        {name: (dims, values) for name, values in parts.items()}
        | {"cases": (("variable", "lead_time"), counts), "power": _power(scores)},
        coords={
            "forecast": scores.names,
            "variable": variables,
            "metric": metrics,
            "lead_time": ("lead_time", scores.cases.lead_hours, {"units": "hours", "long_name": "lead time"}),
            "units": ("variable", [scores.variables[name].units for name in variables]),
            "source": [*scores.names, TRUTH],
        },
        attrs={"title": "Scores of forecasts by lead time", "Conventions": "CF-1.11"},
    )


def _power(scores: Scores) -> xr.DataArray:
    power = np.stack(
        [[scores.spectra[name][variable].numpy() for variable in scores.variables] for name in [*scores.names, TRUTH]]
    )
    return xr.DataArray(
        power,
        dims=("source", "variable", "lead_time", "wavenumber"),
        coords={"wavenumber": np.arange(1, power.shape[-1] + 1)},
        attrs={"long_name": "mean power by radial wavenumber, cycles over the grid's shorter side"},
    )
