"""Which of many leads and metrics stand for all where there is room for few."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from weatherml.metrics.base import Metric
from weatherml.metrics.events import EventMetric
from weatherml.verify.example import middle_threshold
from weatherml.verify.scores.scores import Scores

MOST_LEADS = 8


def card_leads(scores: Scores) -> list[int]:
    """At most eight leads that were scored: of 24 hourly ones 3, 6, ..., 24 h."""
    counts = torch.stack(list(scores.counts.values())).sum(0)
    leads = [lead for lead, cases in enumerate(counts.tolist()) if cases]
    stride = max(1, -(-len(leads) // MOST_LEADS))
    return leads[stride - 1 :: stride]


def few_leads(scores: Scores) -> list[int]:
    """First, middle and last of the headline leads."""
    leads = scores.headline_leads
    return sorted({leads[0], leads[len(leads) // 2], leads[-1]}) if leads else []


def chosen_metrics(scores: Scores, variable: str, kinds: Sequence[str]) -> list[Metric]:
    """One metric of each kind: of events that of the middle threshold, of neighbourhoods the middle one."""
    threshold = middle_threshold(scores.variables[variable])
    chosen = []
    for kind in kinds:
        found = [metric for metric in scores.cards[variable].values() if metric.kind == kind]
        found = [each for each in found if not isinstance(each, EventMetric) or each.threshold == threshold]
        chosen.extend(found[len(found) // 2 :][:1])
    return chosen
