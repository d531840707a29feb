"""The forms in which scores leave: scores.json, and scores.nc with its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from weatherml.metrics.base import Diagram
from weatherml.verify.scores.bootstrap import Curve
from weatherml.verify.scores.comparison import Comparison
from weatherml.verify.scores.scores import TRUTH, Scores

Leaf = Curve | Comparison | Diagram
LEVELS = ("forecast", "variable", "metric")


def to_json(scores: Scores) -> dict[str, Any]:
    """The content of scores.json; what was not scored is null."""
    hours = [_plain(hour) for hour in scores.cases.lead_hours]
    return {
        "forecasts": _json(scores.curves, hours),
        "comparisons": _json(scores.comparisons, hours),
        "conditions": _json(scores.conditions, hours),
        "diagrams": _json(scores.diagrams, hours),
        "cases": {
            variable: {"lead_hours": hours, "count": [int(number) for number in count]}
            for variable, count in scores.counts.items()
        },
        "metadata": scores.metadata,
    }


def _json(tree: Mapping[str, Any] | Leaf, hours: list[float]) -> dict[str, Any]:
    if isinstance(tree, Mapping):
        return {name: _json(branch, hours) for name, branch in tree.items()}
    return {"lead_hours": hours, **{name: _without_nan(values) for name, values in _parts(tree).items()}}


def _parts(leaf: Leaf) -> dict[str, Tensor]:
    if isinstance(leaf, Diagram):
        return {leaf.dim: leaf.bins, **leaf.arrays}
    return {part.name: getattr(leaf, part.name) for part in fields(leaf)}


def _without_nan(values: Tensor) -> list[Any]:
    if values.ndim > 1:
        return [_without_nan(row) for row in values]
    return [None if number != number else number for number in values.tolist()]  # noqa: PLR0124 - NaN is not itself


def _plain(hour: float) -> float:
    return int(hour) if hour == int(hour) else round(hour, 6)


def to_xarray(scores: Scores) -> dict[str, xr.Dataset]:
    """The content of scores.nc by group; the root is called `/`.

    It holds value, low and high over (forecast, variable, metric, lead_time), and spectra. Under `conditions/NAME`
    the same stands for each label, under `comparisons` a forecast against each reference, under `diagrams/FORECAST`
    arrays like `refc_rank_histogram_frequency`.
    """
    groups = {"/": _root(scores)}
    if scores.comparisons:
        groups["comparisons"] = _table(scores.comparisons, ("forecast", "reference", *LEVELS[1:]), scores)
    for condition, labels in scores.conditions.items():
        groups[f"conditions/{condition}"] = _table(labels, ("label", *LEVELS), scores)
    for name, variables in scores.diagrams.items():
        groups[f"diagrams/{name}"] = _diagrams(variables, scores.cases.lead_hours)
    return groups


def to_netcdf(scores: Scores) -> memoryview:
    """The bytes of scores.nc, made in memory: HDF5 may crash where a disk is full."""
    import netCDF4  # noqa: PLC0415 - not needed by who only reads scores

    file = netCDF4.Dataset("scores.nc", "w", memory=1 << 20)
    for name, dataset in to_xarray(scores).items():
        group = file if name == "/" else file.createGroup(name)
        dataset.dump_to_store(xr.backends.NetCDF4DataStore(group))  # type: ignore[no-untyped-call]
    content: memoryview = file.close()
    return content


def _root(scores: Scores) -> xr.Dataset:
    variables = list(scores.variables)
    counts = np.stack([scores.counts[variable].numpy() for variable in variables]).astype(np.int32)
    dataset = _table(scores.curves, LEVELS, scores)
    dataset = dataset.assign({"cases": (("variable", "lead_time"), counts), "power": _power(scores)}).assign_coords(
        units=("variable", [scores.variables[name].units for name in variables]), source=[*scores.names, TRUTH]
    )
    return dataset.assign_attrs(title="Scores of forecasts by lead time", Conventions="CF-1.11")


def _table(tree: Mapping[str, Any], levels: Sequence[str], scores: Scores) -> xr.Dataset:
    """Nested leaves as arrays over the names at each level and lead time; NaN, or 0 of marks, where there is none."""
    leaves = dict(_leaves(tree))
    names = [list(dict.fromkeys(path[depth] for path in leaves)) for depth in range(len(levels))]
    index = [{name: place for place, name in enumerate(level)} for level in names]
    shape = (*map(len, names), len(scores.cases.lead_times))
    arrays: dict[str, np.ndarray] = {}
    for path, leaf in leaves.items():
        place = tuple(level[name] for level, name in zip(index, path, strict=True))
        for part, values in _parts(leaf).items():
            found = values.numpy()
            empty = np.zeros(shape, np.int8) if found.dtype == bool else np.full(shape, np.nan)
            arrays.setdefault(part, empty)[place] = found
    return xr.Dataset(
        {part: ((*levels, "lead_time"), values) for part, values in arrays.items()},
        coords={
            **dict(zip(levels, names, strict=True)),
            "lead_time": ("lead_time", scores.cases.lead_hours, {"units": "hours", "long_name": "lead time"}),
        },
    )


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    for name, branch in tree.items():
        if isinstance(branch, Mapping):
            yield from _leaves(branch, (*path, name))
        else:
            yield (*path, name), branch


def _diagrams(variables: Mapping[str, Mapping[str, Diagram]], lead_hours: Sequence[float]) -> xr.Dataset:
    """Those of one forecast, which share their bins: its number of members gives them."""
    coords: dict[str, Any] = {"lead_time": ("lead_time", list(lead_hours), {"units": "hours"})}
    arrays = {}
    for variable, metrics in variables.items():
        for metric, diagram in metrics.items():
            coords[diagram.dim] = diagram.bins.numpy()
            for key, values in diagram.arrays.items():
                dims = ("lead_time", diagram.dim)[: values.ndim]
                arrays[f"{variable}_{metric}_{key}"] = (dims, values.numpy())
    return xr.Dataset(arrays, coords=coords)


def _power(scores: Scores) -> xr.DataArray:
    """Mean power spectra; NaN of a baseline that does not forecast a variable."""
    bins = next(iter(scores.spectra[TRUTH].values())).shape
    power = np.stack([
        [
            found[variable].numpy() if variable in found else np.full(bins, np.nan)
            for variable in scores.variables
            for found in [scores.spectra.get(name, {})]
        ]
        for name in [*scores.names, TRUTH]
    ])  # fmt: skip
    return xr.DataArray(
        power,
        dims=("source", "variable", "lead_time", "wavenumber"),
        coords={"wavenumber": np.arange(1, power.shape[-1] + 1)},
        attrs={"long_name": "mean power by radial wavenumber, cycles over the grid's shorter side"},
    )
