"""Radar rain two to ten minutes ahead, beside pysteps STEPS on the same window and cases.

Twenty MRMS frames, two minutes apart, are averaged to 2 km over a window with a convective line. The tool
trains on the first 14 and forecasts from each frame from the last of these on; STEPS sees the same frames.

    python benchmarks/radar_steps.py --set train.minutes=10

`ours` and `rival` are fair CRPS in mm/h, means over leads; `ratio` is the worst lead's rival over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from benchmarks.files import cf_dataset, members
from benchmarks.tool import Cost, settings, timed, wml
from weatherml.metrics.crps import fair_crps
from weatherml.sources.hrrr import HRRR
from weatherml.variables import Variable
from weatherml.verify.baselines.decibels import decibels
from weatherml.verify.baselines.nowcast import require_pysteps
from weatherml.verify.baselines.steps import draw_members

Array = npt.NDArray[Any]
Split = Literal["train", "test", "all"]

DATA = Path(os.environ.get("WML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
WINDOW = (slice(2048, 2816), slice(4480, 5248))  # 34.5-26.8 N, 85.2-77.5 W: 24 % rain, 1.5 % above 10 mm/h
FACTOR = 2  # cells of 0.01 degree, to about 2 km
TRAIN = 14  # frames
START = np.datetime64("2019-06-10T00:00:00", "s")
MINUTES = 2
MEMBERS, LEADS = 16, 5
PAST = 9  # frames that give the motion: with 4 the motion alone was 15 % worse at ten minutes
MESSAGE = {
    "keys": {"discipline": 209, "parameterCategory": 6, "parameterNumber": 1},
    "missing": -3,
    "units": "mm h-1",
}
RAIN = {"units": "mm h-1", "valid_min": 0.0, "valid_max": 500.0, "long_name": "precipitation rate"}
RECIPE = (
    "data.history=3",
    "data.lead=5",  # all leads in one call: a fifth of the work, and no error feeds on itself
    "data.crop=[96, 96]",
    "data.flips=true",
    "train.horizon=1",
    "model.base_features=16",
    "loss.scales=0",  # of fourteen frames the large waves are few enough to be learnt by heart
)


def load_radar(split: Split = "all") -> Array:
    """(time, H, W) mm/h float32 of the window: `train` the first 14 frames, `test` the 6 after, or all."""
    source = HRRR(variables={"rain": MESSAGE}).build([str(DATA / "mrms_pysteps" / "*.grib2")])
    times = {"train": source.times[:TRAIN], "test": source.times[TRAIN:], "all": source.times}[split]
    return np.stack([coarse(frame["rain"][WINDOW]) for frame in source.read(times)])


def coarse(frame: Array) -> Array:
    """Means over FACTOR x FACTOR cells."""
    height, width = (size // FACTOR for size in frame.shape)
    return np.asarray(frame.reshape(height, FACTOR, width, FACTOR).mean((1, 3), dtype=np.float32))


def write_radar(frames: Array, path: Path) -> None:
    """Write (time, H, W) mm/h as a CF NetCDF file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {"time": (valid_times(range(len(frames))), {"standard_name": "time"})}
    encoding = {"time": {"units": f"minutes since {START}"}}
    cf_dataset(frames[:, None], {"rain": RAIN}, axes, spacing=2000.0).to_netcdf(
        path, engine="netcdf4", encoding=encoding
    )


def valid_times(indices: Sequence[int]) -> Array:
    """datetime64 of frames."""
    return np.asarray(START + np.timedelta64(60 * MINUTES, "s") * np.asarray(indices))


def steps(frames: Array, *, leads: int = LEADS, count: int = MEMBERS, seed: int = 0) -> Array:
    """The tool's own baseline `steps` after (T, H, W) frames: (leads, count, H, W) mm/h."""
    scale = decibels(Variable(name="rain", **RAIN))
    assert scale is not None
    return draw_members(
        frames[-PAST:], scale, steps=leads, members=count, seed=seed, spacing_km=2.0, step_minutes=float(MINUTES)
    )


def rival(frames: Array, inits: Sequence[int]) -> tuple[list[Array], Cost]:
    """STEPS from each initial frame, and what it took."""
    require_pysteps("steps")  # loading it does not count
    with timed() as cost:
        forecasts = [steps(frames[: init + 1], seed=init) for init in inits]
    return forecasts, cost


def ours(frames: Array, inits: Sequence[int], work: Path, config: str, chosen: Sequence[str]) -> dict[str, Any]:
    """The tool's forecasts from each initial frame, and what each command took."""
    raw, data, run, output = (work / name for name in ("radar.nc", "radar.zarr", "run", "forecast.zarr"))
    write_radar(frames, raw)
    table = ["variables.rain.transform=log1p", "split.gap_hours=0", "split.validation=0"]
    shares = [*table, f"split.test={1 - TRAIN / len(frames)}"]
    starts = [part for time in valid_times(inits) for part in ("--init", f"{time}Z")]
    sizes = ("--members", MEMBERS, "--steps", LEADS, "--products", "none")
    costs = {
        "prepare": wml("prepare", "netcdf", "--input", raw, "--output", data, "--overwrite", *settings(shares)),
        "train": wml("train", "--config", config, "--data", data, "--run", run, *settings([*RECIPE, *chosen])),
        "ensemble": wml("ensemble", "--run", run, "--data", data, *starts, *sizes, "--output", output, "--overwrite"),
    }
    with xr.open_dataset(output, engine="zarr", decode_timedelta=False) as forecast:
        return {"forecasts": [members(forecast, ["rain"], case)[:, :, 0] for case in range(len(inits))], **costs}


def crps_by_lead(forecasts: Sequence[Array], frames: Array, inits: Sequence[int]) -> Array:
    """(LEADS,) mm/h, each lead's mean over the initial frames that leave a truth for it."""
    scores = np.full((len(inits), LEADS), np.nan)
    for row, (init, forecast) in enumerate(zip(inits, forecasts, strict=True)):
        truth = torch.from_numpy(frames[init + 1 : init + 1 + LEADS])
        fair = fair_crps(torch.from_numpy(np.ascontiguousarray(forecast[: len(truth)])), truth)
        scores[row, : len(truth)] = fair.mean((1, 2))
    return np.asarray(np.nanmean(scores, axis=0))


def main() -> None:
    """Run both, or STEPS alone, and print what they score and take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="crps-small")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/radar"))
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="K=V", help="of `wml train`")
    parser.add_argument("--only-steps", action="store_true", help="the rival alone")
    options = parser.parse_args()
    frames = load_radar()
    inits = range(TRAIN - 1, len(frames) - 1)
    theirs, their_cost = rival(frames, inits)
    rival_crps = crps_by_lead(theirs, frames, inits)
    still = [np.repeat(frames[None, None, init], LEADS, 0) for init in inits]
    result = {
        "benchmark": "radar_steps",
        "minutes": [MINUTES * lead for lead in range(1, LEADS + 1)],
        "persistence_mm_h": crps_by_lead(still, frames, inits).round(4).tolist(),
        "steps_mm_h": rival_crps.round(4).tolist(),
        "steps_cost": vars(their_cost),
        "rival": round(float(rival_crps.mean()), 4),
    }
    if not options.only_steps:
        mine = ours(frames, inits, options.work, options.config, options.settings)
        crps = crps_by_lead(mine.pop("forecasts"), frames, inits)
        result |= {
            "ours_mm_h": crps.round(4).tolist(),
            "ours_cost": {command: vars(cost) for command, cost in mine.items()},
            "ours": round(float(crps.mean()), 4),
            "ratio": round(float((rival_crps / crps).min()), 4),
            "speed_ratio": round(their_cost.cpu_s / mine["ensemble"].cpu_s, 2),
        }
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
