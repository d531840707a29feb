"""The score card: by how much each forecast is nearer to a perfect score than each reference."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor

from weatherml.metrics.base import Metric
from weatherml.variables import Variable
from weatherml.verify.report.choice import card_leads, chosen_metrics
from weatherml.verify.report.words import DASH, MINUS, capital, metric_label, number, shade
from weatherml.verify.scores.comparison import Comparison
from weatherml.verify.scores.scores import Scores

Context = dict[str, Any]
KINDS = ("rmse", "crps", "bias", "csi", "fss", "spread_skill_ratio")
PARTS = ("gain", "low", "high", "skill", "significant")
FULL = 0.5  # the skill from which on a cell has its full colour
MOST_PERCENT = 999


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric of one variable: the forecast's and the reference's values (L,), and how they compare."""

    variable: Variable
    metric: Metric
    ours: Tensor
    theirs: Tensor
    comparison: Comparison

    def told(self, lead: int, forecast: str, reference: str) -> str:
        """Both values at a lead, and the gain with its interval, in words."""
        units = self.metric.units or self.variable.units
        ours, theirs = (number(float(values[lead])) for values in (self.ours, self.theirs))
        values = f"{forecast} {ours}, {reference} {theirs}{'' if units == '1' else f' {units}'}"
        gain, low, high = (float(getattr(self.comparison, part)[lead]) for part in PARTS[:3])
        if not np.isfinite(gain):
            return f"{values}; not scored"
        interval = f" (95 % interval {number(low)} to {number(high)})" if np.isfinite(low + high) else ""
        sure = ", significant" if self.comparison.significant[lead] else ""
        return f"{values}; nearer to perfect by {number(gain)}{interval}{sure}"


def score_card(scores: Scores) -> Context | None:
    """A table for each forecast and reference, of which the page shows one; None where there is no reference."""
    pairs = [(forecast, other) for forecast, others in scores.comparisons.items() for other in others]
    tables = [_table(scores, *pair, found) for pair in pairs if (found := rows(scores, *pair))]
    if not tables:
        return None
    return {
        "forecasts": list(dict.fromkeys(table["forecast"] for table in tables)),
        "references": list(dict.fromkeys(table["reference"] for table in tables)),
        "leads": [_hours(scores, lead) for lead in card_leads(scores)],
        "tables": tables,
    }


def rows(scores: Scores, forecast: str, reference: str) -> list[Row]:
    """What is compared: a few metrics of each variable, as far as both have them."""
    compared = scores.comparisons[forecast][reference]
    return [
        Row(
            variable=variable,
            metric=metric,
            ours=scores.curves[forecast][name][metric.name].value,
            theirs=scores.curves[reference][name][metric.name].value,
            comparison=compared[name][metric.name],
        )
        for name, variable in scores.variables.items()
        for metric in chosen_metrics(scores, name, KINDS)
        if metric.name in compared.get(name, {})
    ]


def _table(scores: Scores, forecast: str, reference: str, found: Sequence[Row]) -> Context:
    leads = {lead: _hours(scores, lead) for lead in card_leads(scores)}

    def shown(row: Row) -> Context:
        where = f"{row.variable.name}, {metric_label(row.metric)}"
        cells = [
            skill_cell(row.comparison, lead, f"{where} at {hours} h: {row.told(lead, forecast, reference)}")
            for lead, hours in leads.items()
        ]
        return {"label": metric_label(row.metric), "cells": cells}

    groups = [(variable, list(group)) for variable, group in groupby(found, key=lambda row: row.variable)]
    return {
        "forecast": forecast,
        "reference": reference,
        "groups": [
            {"label": capital(variable.long_name or variable.name), "rows": [shown(row) for row in group]}
            for variable, group in groups
        ],
        "csv": _csv([forecast, reference], found, leads),
    }


def skill_cell(comparison: Comparison, lead: int, title: str) -> Context:
    """Skill in percent, how strongly to colour it, whether it is significant, and the title that tells all."""
    skill = float(comparison.skill[lead])
    return {
        "text": percent(skill),
        **shade(skill, FULL),
        "significant": bool(comparison.significant[lead]),
        "title": title,
    }


def percent(skill: float) -> str:
    """A share as a signed percentage of at most three figures; a dash for NaN."""
    if not np.isfinite(skill):
        return DASH
    whole = round(100 * skill)
    bound = "<" if whole < -MOST_PERCENT else ">" if whole > MOST_PERCENT else ""
    return f"{bound}{int(np.clip(whole, -MOST_PERCENT, MOST_PERCENT)):+d}".replace("-", MINUS)


def _csv(names: Sequence[str], found: Sequence[Row], leads: dict[int, str]) -> str:
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["variable", "metric", "lead time (h)", *names, *PARTS])
    for row in found:
        columns = [row.ours, row.theirs, *(getattr(row.comparison, part) for part in PARTS)]
        for lead, hours in leads.items():
            write([row.variable.name, row.metric.name, hours, *(f"{float(column[lead]):.6g}" for column in columns)])
    return text.getvalue()


def _hours(scores: Scores, lead: int) -> str:
    return f"{scores.cases.lead_hours[lead]:g}"
