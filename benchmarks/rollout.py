"""What a rollout costs beside its forward passes, and whether its memory grows with hours.

    python benchmarks/rollout.py                                # full CONUS, 40 base features: ~10 minutes on two cores
    python benchmarks/rollout.py --features 8                   # a narrower network, where the rest weighs more
    python benchmarks/rollout.py --grid 256x256 --features 8    # seconds

Six hours of HRRR's seven variables on the grid become a dataset by `wml prepare netcdf`, a run by one step of
`wml train`; then `wml rollout`, the command with its start and its writing, forecasts 6 and `--hours` hours in
processes of their own. The forward passes alone are `model.step` on a batch that is there, as many as the longer
forecast has. `ours` is the seconds of the command, `limit` 1.25 times those of the passes, and `ratio` limit over
ours. On a CPU seconds are of processors. Memory is the peak resident one of each process (on a GPU: of the host).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from benchmarks.files import cf_dataset
from benchmarks.tool import settings, wml
from benchmarks.train_step import clock, device_name
from weatherml.data.store import open_dataset
from weatherml.forecast.roller import Roller
from weatherml.run.device import natively_bf16, pick_device
from weatherml.run.directory import open_run
from weatherml.run.stepping import known_batch
from weatherml.train.planning.sizes import parse_grid

SPACING = 3000.0
TIMES = 6
SHORT = 6
ASKED = 1.25
UNITS = {"refc": "dBZ", "t2m": "K", "d2m": "K", "u10": "m s-1", "v10": "m s-1", "cape": "J kg-1", "cin": "J kg-1"}
LEVELS = {  # mean and amplitude of each variable's waves
    "refc": (10.0, 25.0),
    "t2m": (290.0, 12.0),
    "d2m": (280.0, 10.0),
    "u10": (2.0, 8.0),
    "v10": (0.0, 8.0),
    "cape": (900.0, 850.0),
    "cin": (-60.0, 55.0),
}


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a process took.

    Attributes:
        wall_s: seconds by the clock.
        cpu_s: seconds of processors.
        peak_mib: the most memory that was resident.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    """Prepare, train a step, forecast twice, time the passes, and print one line."""
    options = parse_options()
    device = pick_device(options.device)
    work = options.work / f"rollout-{options.grid}"
    data = prepare(work, parse_grid(options.grid))
    run = train(work, data, options.features)
    where = ("--run", run, "--data", data, "--init", "last", "--device", device.type, "--overwrite")
    spent = {
        hours: spend("rollout", *where, "--hours", hours, "--output", work / f"{hours}h.zarr")
        for hours in (SHORT, options.hours)
    }
    long, short = spent[options.hours], spent[SHORT]
    forward = forward_seconds(run, data, device, options.passes)
    whole = long.cpu_s if device.type == "cpu" else long.wall_s
    brief = short.cpu_s if device.type == "cpu" else short.wall_s
    hour = (whole - brief) / (options.hours - SHORT)
    result = {
        "benchmark": "rollout",
        "device": device_name(device),
        "precision": "bfloat16" if natively_bf16(device) else "float32",
        "grid": options.grid,
        "base_features": options.features,
        "hours": options.hours,
        "forward_s": round(forward, 3),
        "hour_s": round(hour, 3),
        "hour_over_forward": round(hour / forward, 3),
        "beside_the_passes_s": round(whole - options.hours * forward, 2),
        "spent": {f"{hours}h": vars(each) for hours, each in spent.items()},
        "memory_growth": round(long.peak_mib / short.peak_mib, 3),
        "ours": round(whole, 2),
        "limit": round(ASKED * options.hours * forward, 2),
        "ratio": round(ASKED * options.hours * forward / whole, 3),
    }
    print(json.dumps(result))


def prepare(work: Path, grid: tuple[int, int]) -> Path:
    """A dataset of a few hours; one that is there is kept."""
    data = work / "data.zarr"
    if not data.exists():
        work.mkdir(parents=True, exist_ok=True)
        hours = xr.date_range("2024-06-01", periods=TIMES, freq="h").to_numpy()
        attributes = {name: {"units": units} for name, units in UNITS.items()}
        axes = {"time": (hours, {"standard_name": "time"})}
        cf_dataset(waves(grid), attributes, axes, spacing=SPACING).to_netcdf(work / "world.nc", engine="netcdf4")
        wml(
            *("prepare", "netcdf", "--input", work / "world.nc", "--output", data),
            *settings(["split.validation=0", "split.test=0", "split.gap_hours=0"]),
        )
    return data


def waves(grid: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(N, C, H, W) storms that move six cells an hour, with grain that a compressor finds as hard as weather's."""
    rng = np.random.default_rng(0)
    y, x = (np.arange(size, dtype=np.float32) for size in grid)
    fields = np.empty((TIMES, len(LEVELS), *grid), np.float32)
    for hour, c in np.ndindex(fields.shape[:2]):
        mean, amplitude = list(LEVELS.values())[c]
        wave = np.sin((x - 6 * hour) / (20 + 3 * c)) * np.cos(y / (30 + 2 * c))[:, None]
        fields[hour, c] = mean + amplitude * (0.9 * wave + 0.02 * rng.standard_normal(grid, np.float32))
    return fields


def train(work: Path, data: Path, features: int) -> Path:
    """A run of one step on crops: the weights do not matter to what a forecast costs."""
    run = work / f"run-{features}"
    if not run.exists():
        chosen = [
            f"model.base_features={features}",
            "data.crop=[64,64]",
            "train.steps=1",
            "train.batch=1",
        ]
        wml("train", "--model", "unet-residual", "--data", data, "--run", run, "--device", "cpu", *settings(chosen))
    return run


def spend(*arguments: object) -> Spent:
    """Run one command of the tool in a process that is waited for by itself, so that its peak is its own."""
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("wml")), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(
        wall_s=round(time.monotonic() - began, 2),
        cpu_s=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mib=round(usage.ru_maxrss / 2**10, 1),  # KiB on Linux
    )


def forward_seconds(run: Path, data: Path, device: torch.device, passes: int) -> float:
    """Seconds of a forward pass, the mean of some after one to warm up."""
    opened = open_run(run)
    dataset = opened.forecast_lineage.matched(open_dataset(data))
    roller = Roller(opened, dataset, opened.load_model(), device)
    last = np.array([len(dataset.times) - 1])
    now, seconds = clock(device), list[float]()
    with torch.inference_mode(), roller.autocast:
        history = roller.normalised(roller.history(last))
        batch: Any = known_batch(history, dataset.times[last][:, None] + dataset.step, roller.known)
        for _ in range(passes + 1):
            began = now()
            roller.model.step(batch)
            seconds.append(now() - began)
    return float(np.mean(seconds[1:]))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--grid", default="1059x1799", help="ROWSxCOLUMNS")
    parser.add_argument("--features", type=int, default=40, help="base features")
    parser.add_argument("--hours", type=int, default=24, help="more than 6")
    parser.add_argument("--passes", type=int, default=3, help="forward passes that are timed")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
