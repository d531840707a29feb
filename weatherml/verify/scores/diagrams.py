"""Diagrams of all metrics, and the forms in which they leave: JSON, and a group of scores.nc for each forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from torch import Tensor

from weatherml.metrics.base import Diagram

Diagrams: TypeAlias = dict[str, dict[str, dict[str, Diagram]]]
"""By forecast, variable and metric."""


def diagrams_json(diagrams: Diagrams, lead_hours: Sequence[float]) -> dict[str, Any]:
    """By forecast, variable and metric: `lead_hours`, the bins by the name of their dimension, and each array."""
    return {
        name: {
            variable: {metric: _plain(diagram, lead_hours) for metric, diagram in metrics.items()}
            for variable, metrics in variables.items()
        }
        for name, variables in diagrams.items()
    }


def _plain(diagram: Diagram, lead_hours: Sequence[float]) -> dict[str, Any]:
    arrays = {key: _without_nan(values) for key, values in diagram.arrays.items()}
    return {"lead_hours": list(lead_hours), diagram.dim: diagram.bins.tolist(), **arrays}


def _without_nan(values: Tensor) -> list[Any]:
    if values.ndim > 1:
        return [_without_nan(row) for row in values]
    return [None if np.isnan(number) else number for number in values.tolist()]


def diagrams_xarray(diagrams: Diagrams, lead_hours: Sequence[float]) -> dict[str, xr.Dataset]:
    """A dataset for each forecast, with arrays like `refc_rank_histogram_frequency`.

    Those of one forecast share their bins, which its number of members gives.
    """
    return {name: _dataset(variables, lead_hours) for name, variables in diagrams.items()}


def _dataset(variables: dict[str, dict[str, Diagram]], lead_hours: Sequence[float]) -> xr.Dataset:
    coords: dict[str, Any] = {"lead_time": ("lead_time", list(lead_hours), {"units": "hours"})}
    arrays = {}
    for variable, metrics in variables.items():
        for metric, diagram in metrics.items():
            coords[diagram.dim] = diagram.bins.numpy()
            for key, values in diagram.arrays.items():
                dims = ("lead_time", diagram.dim)[: values.ndim]
                arrays[f"{variable}_{metric}_{key}"] = (dims, values.numpy())
    return xr.Dataset(arrays, coords=coords)
