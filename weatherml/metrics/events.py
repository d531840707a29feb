"""Events: a threshold exceeded (or undercut), its name, and the contingency table that counts it."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Metric, Statistics
from weatherml.metrics.blocks import by_points
from weatherml.metrics.once import once
from weatherml.metrics.reduce import area, complete, histogram, members
from weatherml.variables import Variable

Array = npt.NDArray[Any]
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
    count = torch.from_numpy(event_count(values, mask, threshold, side).astype(np.float32))
    return count / members(values).shape[1]


@once
def event_count(values: Fields, mask: Tensor, threshold: float, side: Side) -> Array:
    """Members (L, M, H, W) with the event, of a field (L, H, W) one or none: (L, H, W) unsigned whole numbers."""
    bits = event_bits(values, threshold, side)
    count = np.bitwise_count(bits).sum(1, dtype=np.min_scalar_type(8 * bits.shape[1]))
    return np.asarray(count if complete(mask) else count * mask.numpy())


@once
def event_bits(values: Fields, threshold: float, side: Side) -> Array:
    """Which members (L, M, H, W) have the event, a bit each: (L, ceil(M / 8), H, W) uint8; of a field one bit."""
    forecast = members(values)
    planes = -(-forecast.shape[1] // 8)

    def packed(states: Array) -> Array:
        bits = np.zeros((planes, states.shape[1]), np.uint8)
        for member, state in enumerate(states):
            bits[member // 8] |= occurs(state, threshold, side).view(np.uint8) << np.uint8(member % 8)
        return bits

    return by_points(packed, forecast, dtype=np.uint8, planes=(planes,))


def occurs(values: Array, threshold: float, side: Side) -> Array:
    """Where the event is, bool; nowhere that is unknown."""
    return np.asarray(values >= threshold if side == "above" else values <= threshold)


@once
def probability_table(
    forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor, *, threshold: float, side: Side
) -> Statistics:
    """Area by the number k of members with the event: `forecasts` of all points, `events` of those where it came.

    Each (L, M + 1); forecast (L, M, H, W), truth (L, H, W).
    """
    bins = forecast.shape[1] + 1
    count, came = (event_count(values, mask, threshold, side).astype(np.int16) for values in (forecast, truth))
    area_of = histogram(count + bins * came, mask, rows, 2 * bins).view(-1, 2, bins)
    return {"forecasts": area_of.sum(1), "events": area_of[:, 1]}


@once
def contingency(
    forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor, *, threshold: float, side: Side
) -> Statistics:
    """Area of hits, misses and false alarms, and in all, each (L,); forecast (L, M, H, W), truth (L, H, W)."""
    table = probability_table(forecast, truth, mask, rows, threshold=threshold, side=side)
    probability = torch.linspace(0, 1, forecast.shape[1] + 1, dtype=torch.float64)
    hits, forecasts = table["events"] @ probability, table["forecasts"] @ probability
    return {
        "hits": hits,
        "misses": table["events"].sum(-1) - hits,
        "false_alarms": forecasts - hits,
        "weight": area(mask, rows),
    }
