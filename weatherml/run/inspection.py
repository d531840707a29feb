"""What lies at a path: a dataset, a run or a forecast, described in plain types."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weatherml.data.foreign import require_opens
from weatherml.data.integrity import require_sound, verify
from weatherml.data.quality import gaps
from weatherml.data.quality_page.page import PAGE
from weatherml.data.sequences.predictions import is_predictions, open_predictions
from weatherml.data.sequences.store import KIND, SequenceDataset, open_sequences
from weatherml.data.statistics import STATISTICS
from weatherml.data.store import MARKER, Dataset, open_dataset, verify_marker
from weatherml.errors import BadDataError, MissingInputError, WMLError, reason
from weatherml.files import read_json, readable_size, tree_size
from weatherml.run import checkpoint
from weatherml.run.directory import is_run, open_run
from weatherml.sources.sequences import PARTS

Found = dict[str, Any]
MOST_GAPS = 20


def inspect(path: Path, *, deep: bool = False) -> Found:
    """Describe what lies at `path`.

    Args:
        path: a dataset, run or forecast.
        deep: read every chunk, so that its checksum is verified.

    Raises:
        MissingInputError: nothing there.
        BadDataError: none of ours, unfinished or broken.
    """
    if not path.exists():
        raise MissingInputError(f"{path}: nothing there; give a dataset, run or forecast")
    try:
        return _described(path, deep=deep)
    except (WMLError, PermissionError):
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file breaks what reads it in any way
        raise BadDataError(f"{path}: damaged ({reason(error)}); restore it, or make it again") from None


def _described(path: Path, *, deep: bool) -> Found:
    if is_run(path):
        return {"path": str(path), "is": "bundle" if path.is_file() else "run"} | inspect_run(path)
    if (path / MARKER).is_file():
        kind = read_json(path / MARKER).get("kind")
        found = STORES.get(kind, inspect_forecast)(path, deep=deep)
        return {"path": str(path), "is": kind, "size": readable_size(tree_size(path))} | found
    if path.suffix == ".nc":
        require_opens(path, whole=deep)
        forecast = ("NetCDF", partial(inspect_forecast, deep=deep))
        kind, look = ("predictions", inspect_predictions) if is_predictions(path) else forecast
        return {"path": str(path), "is": kind, "size": readable_size(tree_size(path))} | look(path)
    raise BadDataError(f"{path}: neither a finished dataset, run nor forecast; prepare or train it again")


def inspect_dataset(path: Path, *, deep: bool) -> Found:
    """A dataset: grid, times, gaps, splits, quality, and each variable's statistics."""
    dataset = verify(path) if deep else open_dataset(path)
    quality = read_json(path / "quality.json")
    missing = gaps(dataset.times, dataset.step)
    return {
        "source": dataset.source["kind"],
        "grid": f"{dataset.grid.kind}, {dataset.grid.shape[0]} x {dataset.grid.shape[1]}",
        "spacing_km": dataset.grid.spacing_km,
        "times": len(dataset.times),
        "first": f"{dataset.times[0]}Z",
        "last": f"{dataset.times[-1]}Z",
        "step_seconds": int(dataset.step / np.timedelta64(1, "s")),
        "missing_times": len(missing),
        "gaps": missing[:MOST_GAPS],
        "quarantined": len(quality["quarantined"]),
        "findings": len(quality["findings"]),
        "page": str(path / PAGE) if (path / PAGE).is_file() else None,
        "static": sorted(dataset.static),
        "health": "every chunk reads and matches its checksum" if deep else "metadata match; --deep reads every chunk",
        "splits": {part: f"{first}Z to {last}Z" for part, (first, last) in dataset.splits.items()},
        "variables": {
            variable.name: {"units": variable.units, "transform": variable.transform, **_statistics(dataset, channel)}
            for channel, variable in enumerate(dataset.variables)
        },
    }


def inspect_sequences(path: Path, *, deep: bool) -> Found:
    """A dataset of sequences: task, series, samples by part, and each variable's statistics."""
    dataset = open_sequences(path)
    quality = read_json(path / "quality.json")
    if deep:
        require_sound(path)
    return {
        "source": dataset.source["kind"],
        "task": dataset.task,
        "grid": f"{dataset.grid.kind}, {dataset.grid.shape[0]} x {dataset.grid.shape[1]}",
        "series": len(dataset.series),
        "first": f"{np.nanmin(dataset.times)}Z",
        "last": f"{np.nanmax(dataset.times)}Z",
        "length": dataset.length,
        "lead": dataset.lead,
        "notes": quality["notes"],
        "health": "every chunk reads and matches its checksum" if deep else "metadata match; --deep reads every chunk",
        "samples": {part: quality[part] for part in PARTS},
        "variables": {
            variable.name: {
                "units": variable.units,
                "enters": variable in dataset.inputs,
                **_statistics(dataset, channel),
            }
            for channel, variable in enumerate(dataset.variables)
        },
    }


def inspect_predictions(path: Path) -> Found:
    """Predictions of sequences: of what run, which parts, and how many samples."""
    found = open_predictions(path)
    known = np.logical_or.reduce([np.isfinite(values).any(axis=(2, 3)) for values in found.values.values()])
    return {
        **found.attributes,
        "task": found.task,
        "grid": f"{found.grid.kind}, {found.grid.shape[0]} x {found.grid.shape[1]}",
        "series": len(found.series),
        "samples": int(known.sum()),
        "variables": {target.name: {"units": target.units} for target in found.targets},
    }


def inspect_run(path: Path) -> Found:
    """A run: model, data, progress and checkpoints."""
    run = open_run(path)
    status = run.status()
    with torch.device("meta"):  # whatever size a stranger's configuration asks for, none of it is reserved
        parameters = sum(parameter.numel() for parameter in run.build_model().parameters())
    return {
        "model": run.experiment.model.kind,
        "parameters": parameters,
        "dataset": run.lineage.dataset,
        "variables": run.lineage.names,
        "grid": f"{run.lineage.shape[0]} x {run.lineage.shape[1]}",
        "history": run.experiment.data.history,
        "lead": run.experiment.data.lead,
        "state": status["state"],
        "step": status["step"],
        "steps": status.get("steps"),
        "skill": status.get("skill"),
        "checkpoints": [f"step-{step}" for step in checkpoint.steps(run.checkpoints)],
        "best": (run.checkpoints / "best").exists(),
        "size": readable_size(tree_size(path)),
        "configuration": run.experiment.settings()["model"],
    }


def inspect_forecast(path: Path, *, deep: bool = False) -> Found:
    """A forecast: initial and lead times, variables, and where it stopped."""
    import xarray as xr  # noqa: PLC0415 - slow to import

    store = path.suffix != ".nc"
    if store:
        verify_marker(path, "forecast")
    with xr.open_zarr(str(path)) if store else xr.open_dataset(path, engine="netcdf4") as forecast:
        if "init_time" not in forecast or "lead_time" not in forecast:
            raise BadDataError(f"{path}: has no init_time and lead_time; not a forecast")
        if deep:
            require_sound(path) if store else forecast.load()
        hours = forecast["lead_time"].values / np.timedelta64(1, "h")
        return {
            "model": forecast.attrs.get("model"),
            "run": forecast.attrs.get("run"),
            "init_times": forecast.sizes["init_time"],
            "first_init": f"{forecast['init_time'].values[0]:.19}Z",
            "last_init": f"{forecast['init_time'].values[-1]:.19}Z",
            "lead_hours": [float(hours[0]), float(hours[-1])],
            "leads": len(hours),
            "members": forecast.sizes.get("member", 1),
            "stopped": forecast.attrs.get("stopped") or {},
            "variables": {name: {"units": array.attrs.get("units")} for name, array in _fields(forecast).items()},
        }


def _fields(forecast: Any) -> dict[str, Any]:
    return {str(name): array for name, array in forecast.data_vars.items() if "lead_time" in array.dims}


STORES = {"dataset": inspect_dataset, KIND: inspect_sequences}
"""What describes a store of each kind; the others are forecasts."""


def _statistics(dataset: Dataset | SequenceDataset, channel: int) -> dict[str, float]:
    return {name: float(getattr(dataset.statistics, name)[channel]) for name in STATISTICS}
