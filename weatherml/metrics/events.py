"""Events: a threshold exceeded (or undercut), its name, and the contingency table that counts it."""

from __future__ import annotations

import re
from typing import Literal

from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Metric, Statistics
from weatherml.metrics.once import once
from weatherml.metrics.reduce import area, area_sum, known
from weatherml.variables import Variable

Side = Literal["above", "below"]


class EventMetric(Metric):
    """A score of one event of a variable.

    Attributes:
        threshold: in `units_of_threshold`; reaching it is the event.
        units_of_threshold: the variable's units, for the name.
        side: `above` (>=) or `below` (<=).
    """

    threshold: float
    units_of_threshold: str
    side: Side = "above"

    @property
    def name(self) -> str:
        """`csi_30dbz`, `csi_below_m25jkg1`: see `event_name`."""
        return f"{self.kind}_{self.event}"

    @property
    def event(self) -> str:
        """The event's part of the name."""
        return event_name(self.threshold, self.units_of_threshold, self.side)

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:  # noqa: ARG003
        """One for each threshold of the variable."""
        return [cls(**event) for event in events(variable)]


class ContingencyMetric(EventMetric):
    """A score of the 2 x 2 table of hits, misses and false alarms; members are counted one by one."""

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:
        """Hits, misses and false alarms, averaged over members, and the area."""
        return contingency(forecast, truth, mask, rows, threshold=self.threshold, side=self.side)


def events(variable: Variable) -> list[dict[str, object]]:
    """The settings of an `EventMetric` for each threshold of a variable."""
    return [
        {"threshold": threshold, "units_of_threshold": variable.units, "side": variable.event}
        for threshold in variable.thresholds
    ]


def event_name(threshold: float, units: str, side: Side = "above") -> str:
    """The event in a metric's name: [`below_`] number units, in lower case and without signs.

    A minus becomes `m`, a decimal point `p`, and of the units letters and digits stay: 30 dBZ is
    `30dbz`, CIN at or under -25 J kg-1 is `below_m25jkg1`, 0.5 mm h-1 is `0p5mmh1`.
    """
    plain_units = re.sub(r"[^a-z0-9]", "", units.replace("%", "percent").lower())
    prefix = "below_" if side == "below" else ""
    return f"{prefix}{number_name(threshold)}{plain_units if plain_units != '1' else ''}"


def number_name(number: float) -> str:
    """A number as part of a name: -2.5 is `m2p5`."""
    return f"{number:.10g}".replace("-", "m").replace("+", "").replace(".", "p")


@once
def event_share(values: Fields, mask: Tensor, threshold: float, side: Side) -> Fields:
    """Share of members (L, M, H, W), or whether a field (L, H, W), has the event: (L, H, W) float32.

    The threshold itself counts, as in pysteps; unknown points have no event.
    """
    event = occurs(values, threshold, side).float()
    return known(event if values.ndim == mask.ndim else event.mean(1), mask)


@once
def occurs(values: Fields, threshold: float, side: Side) -> Tensor:
    """Where the event is, bool; nowhere that is unknown."""
    return values >= threshold if side == "above" else values <= threshold


@once
def event_area(values: Fields, mask: Tensor, rows: Tensor, *, threshold: float, side: Side) -> Tensor:
    """Area of the event, (L,)."""
    return area_sum(event_share(values, mask, threshold, side), mask, rows)


@once
def contingency(
    forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor, *, threshold: float, side: Side
) -> Statistics:
    """Area of hits, misses and false alarms, and in all, each (L,); forecast (L, M, H, W), truth (L, H, W)."""
    both = event_share(forecast, mask, threshold, side) * event_share(truth, mask, threshold, side)
    hits = area_sum(both, mask, rows)
    return {
        "hits": hits,
        "misses": event_area(truth, mask, rows, threshold=threshold, side=side) - hits,
        "false_alarms": event_area(forecast, mask, rows, threshold=threshold, side=side) - hits,
        "weight": area(mask, rows),
    }
