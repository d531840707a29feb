"""Objects: contiguous cells of an event, 8 neighbours each, by their sizes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor

from weatherml.fields import Fields
from weatherml.metrics.base import Diagram, Metric, Statistics
from weatherml.metrics.events import Array, EventMetric, Side, events, occurs
from weatherml.metrics.once import once
from weatherml.metrics.reduce import members, ratio
from weatherml.variables import Variable

TOUCHING = np.ones((3, 3), dtype=bool)
SIZES = 24
"""Bins of sizes: 1, 2 to 3, 4 to 7, ... cells; the last is open."""


class ObjectMetric(EventMetric):
    """A score of the objects of an event; those of the members are counted one by one.

    The diagram holds the share of objects by size, in bins of which each is twice as wide as the one before:
    how a forecast that breaks storms up, or grows them together, differs from the truth.
    """

    perfect: ClassVar[float] = 1.0
    by_condition: ClassVar[bool] = False

    @classmethod
    def score_card(cls, variable: Variable, spacing_km: float | None) -> list[Metric]:  # noqa: ARG003
        """One for each threshold of a variable whose events lie above: cores in a calm field, not holes in it."""
        return [cls(**event) for event in events(variable)] if variable.event == "above" else []

    def statistics(self, forecast: Fields, truth: Fields, mask: Tensor, rows: Tensor) -> Statistics:  # noqa: ARG002
        """Objects by size, and the cells of all, of the truth and of a member on average."""
        event = (mask, self.threshold, self.side)
        forecast_objects, forecast_cells = object_sizes(forecast, *event)
        truth_objects, truth_cells = object_sizes(truth, *event)
        return {
            "forecast_objects": forecast_objects / forecast.shape[1],
            "forecast_cells": forecast_cells / forecast.shape[1],
            "truth_objects": truth_objects,
            "truth_cells": truth_cells,
        }

    def diagram(self, sums: Statistics) -> Diagram:
        """The shares by size; a bin stands at its smallest size."""
        objects = {name: sums[f"{name}_objects"] for name in ("forecast", "truth")}
        arrays = {f"{name}_share": ratio(count, count.sum(-1, keepdim=True)) for name, count in objects.items()}
        return Diagram(dim="cells", bins=2.0 ** torch.arange(SIZES, dtype=torch.float64), arrays=arrays)


@once
def object_sizes(values: Fields, mask: Tensor, threshold: float, side: Side) -> tuple[Tensor, Tensor]:
    """Objects by size, (L, SIZES), and their cells, (L,), of all members (L, M, H, W) or a field (L, H, W); float64."""
    fields = members(values)
    objects = torch.zeros(len(values), SIZES, dtype=torch.float64)
    cells = torch.zeros(len(values), dtype=torch.float64)
    for lead, (states, known) in enumerate(zip(fields.numpy(), mask.numpy(), strict=True)):
        sizes = np.concatenate([areas(occurs(state, threshold, side) & known) for state in states])
        objects[lead] = torch.from_numpy(np.bincount(size_bins(sizes), minlength=SIZES))
        cells[lead] = float(sizes.sum())
    return objects, cells


def size_bins(sizes: Array) -> Array:
    """The bin of each size, floor(log2(size)), whole."""
    return np.asarray(np.minimum(np.frexp(sizes)[1] - 1, SIZES - 1))


def areas(event: Array) -> Array:
    """The number of cells of each object of a field (H, W) bool."""
    labels, _ = scipy.ndimage.label(event, TOUCHING)
    return np.bincount(labels[event])[1:]
