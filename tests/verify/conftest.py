"""A small world written with plain xarray: drifting storms under a diurnal cycle, and forecasts of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.sources.world.terrain import MAPPING
from weatherml.variables import TABLE

START = np.datetime64("2024-06-01T00:00:00", "s")
HOUR = np.timedelta64(1, "h")
INITS = START + np.array([50, 56, 68, 72, 80, 88]) * HOUR
"""On three days, after the training half of a truth of 96 hours."""
Fields = dict[str, np.ndarray]


def world(times: np.ndarray, size: int, *, phase: float = 0.0, speed: float = 1.0) -> Fields:
    """All seven variables at `times`, each (N, size, size) float32; `phase` and `speed` spoil a forecast."""
    hours = ((times - START) / HOUR).astype(float)[:, None, None]
    y, x = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
    sun = np.sin(2 * np.pi * (hours - 9) / 24)
    storms = sum(
        np.exp(-(((x - 0.2 * k - 0.03 * speed * hours - phase) % 1 - 0.5) ** 2 + (y - 0.2 * k - 0.1) ** 2) / 0.008)
        * np.sin(hours / (3 + k)) ** 2
        for k in range(4)
    )
    waves = np.sin(9 * x + hours / 5 + phase) * np.cos(7 * y - hours / 7)
    fields = {
        "refc": np.clip(-10 + 65 * storms + 2 * waves, -10, 75),
        "t2m": 295 + 6 * sun - 8 * y + waves - 3 * storms,
        "d2m": 288 + sun - 5 * y + waves,
        "u10": 3 + 3 * waves + 2 * storms,
        "v10": 2 * np.roll(waves, 3, axis=-1) - storms,
        "cape": np.clip(1200 + 900 * sun - 600 * y + 300 * waves, 0, None),
        "cin": -np.clip(40 - 40 * sun + 20 * waves, 0, None),
    }
    return {
        name: np.broadcast_to(values, (len(times), size, size)).astype(np.float32) for name, values in fields.items()
    }


def axes(size: int) -> dict[str, Any]:
    y, x = np.arange(size) * 3000.0, np.arange(size) * 3000.0 - 90_000
    return {"y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})}


def write_truth(
    path: Path, *, hours: int = 96, size: int = 16, names: Sequence[str] = ("refc", "t2m"), **attributes: Any
) -> Path:
    """A dataset store: packed int16, CF, a chunk each hour; the first half trains."""
    times = START + np.arange(hours) * HOUR
    fields = world(times, size)
    dims = ("time", "y", "x")
    arrays = {name: (dims, fields[name], {"units": TABLE[name].units, "grid_mapping": "projection"}) for name in names}
    land = (np.add.outer(np.arange(size), np.arange(size)) > size // 2).astype(np.float32)
    dataset = xr.Dataset(
        arrays | {"land_binary_mask": (("y", "x"), land), "projection": ((), 0, MAPPING)},
        coords={"time": times.astype("datetime64[ns]"), **axes(size)},
        attrs={
            "title": "a small world",
            "variables": list(names),
            "variable_table": {name: TABLE[name].settings() for name in names},
            "splits": {
                "train": [str(times[0]), str(times[hours // 2 - 1])],
                "validation": [str(times[hours // 2]), str(times[hours // 2])],
                "test": [str(times[hours // 2 + 1]), str(times[-1])],
            },
            "time_step_seconds": 3600,
            "source_config": {"kind": "netcdf"},
            **attributes,
        },
    )
    packing = {
        name: {
            "dtype": "int16", "scale_factor": TABLE[name].packing_step, "add_offset": TABLE[name].add_offset,
            "_FillValue": -32768, "chunks": (1, size, size),
        }
        for name in names
    }  # fmt: skip
    dataset.to_zarr(path, zarr_format=3, consolidated=False, encoding=packing)
    return path


def forecast_dataset(
    inits: np.ndarray,
    leads: Sequence[int],
    *,
    size: int = 16,
    names: Sequence[str] = ("refc", "t2m"),
    members: int | None = None,
    phase: float = 0.03,
    speed: float = 1.0,
) -> xr.Dataset:
    """A forecast of the world, out of phase by a little."""
    shifts = [phase * (1 + 0.3 * m) for m in range(members or 1)]
    steps = np.array(leads) * HOUR
    draws = [[world(init + steps, size, phase=shift, speed=speed) for shift in shifts] for init in inits]
    dims = ("init_time", "lead_time", *(["member"] if members else []), "y", "x")
    arrays = {}
    for name in names:
        values = np.stack([np.stack([draw[name] for draw in case], axis=1) for case in draws])
        arrays[name] = (dims, values if members else values[:, :, 0], {"units": TABLE[name].units})
    coords = {"init_time": inits.astype("datetime64[ns]"), "lead_time": steps.astype("timedelta64[ns]"), **axes(size)}
    return xr.Dataset(arrays, coords=coords)


@pytest.fixture
def truth_path(tmp_path: Path) -> Path:
    """A truth of 96 hours with refc and t2m."""
    return write_truth(tmp_path / "dataset.zarr")
