"""What scores cost beside the libraries that people use now, and a whole score card beside reading its forecast.

    python benchmarks/scores.py crps    # fair CRPS of 20 members on 530 x 900, beside `scores`
    python benchmarks/scores.py fss     # 5 windows x 4 thresholds on 530 x 900, beside pysteps
    python benchmarks/scores.py card    # every score of 20 members of HRRR's variables at full CONUS, per lead

All run in one process on the same arrays, times are its processor seconds, and `check` is the largest relative
difference of the results. `card` writes a forecast of `--leads` leads and its truth by the tool's own packing, reads
and unpacks all of it as `wml evaluate` does (the limit is 8 times that), then reads and scores it; `seconds` tells
where the time goes, by metric and by variable, and memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from pysteps.verification.spatialscores import fss as pysteps_fss  # type: ignore[import-untyped]

from weatherml.metrics.base import Metric
from weatherml.metrics.crps import fair_crps
from weatherml.metrics.fss import FSS
from weatherml.variables import TABLE
from weatherml.verify.files.forecasts import ForecastFile, open_forecast
from weatherml.verify.files.truth import Truth, open_truth
from weatherml.verify.scoring.case import score_cards, score_case
from weatherml.verify.scoring.cases import common_cases

MEMBERS, GRID, CONUS = 20, (530, 900), (1059, 1799)
WINDOWS, THRESHOLDS = (1, 3, 9, 27, 81), (1.0, 2.0, 4.0, 8.0)
START = np.datetime64("2024-06-01T00", "ns")
HOUR = np.timedelta64(3600, "s")
ASKED = {"crps": 4.0, "fss": 5.0, "card": 1.0}


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """The shortest of some runs' seconds, after one to warm up, and the result."""
    result, seconds = work(), []
    for _ in range(repeats):
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return min(seconds), result


def fields(*shape: int, seed: int) -> Any:
    """Skewed numbers with many ties at 0, as rain has."""
    rain = np.random.default_rng(seed).gamma(1.0, 3.0, shape).astype(np.float32)
    return np.where(rain < 1, 0, rain).astype(np.float32)


def anew(*arrays: Any) -> list[torch.Tensor]:
    """New tensors: what is remembered of the last run's may not serve the next one."""
    return [torch.from_numpy(array) for array in arrays]


def crps(repeats: int) -> dict[str, Any]:
    """Fair CRPS, a value for each point."""
    # run as a script, this file's folder comes first on the path, and `scores` would be this file
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    crps_for_ensemble = import_module("scores.probability").crps_for_ensemble

    members, truth = fields(1, MEMBERS, *GRID, seed=0), fields(1, *GRID, seed=1)
    named = xr.DataArray(members[0], dims=("member", "y", "x")), xr.DataArray(truth[0], dims=("y", "x"))
    ours, mine = best(lambda: fair_crps(*anew(members, truth)), repeats)
    rival, theirs = best(lambda: crps_for_ensemble(*named, "member", method="fair", preserve_dims="all"), repeats)
    return compared(ours, rival, float(mine.mean()), float(theirs.mean()))


def fss(repeats: int) -> dict[str, Any]:
    """Fractions skill score of one field."""
    forecast, truth = fields(1, *GRID, seed=0), fields(1, *GRID, seed=1)
    mask, rows = torch.ones(1, *GRID, dtype=torch.bool), torch.ones(GRID[0])
    events = [(threshold, width) for threshold in THRESHOLDS for width in WINDOWS]

    def scored() -> list[float]:
        a, b = anew(forecast[:, None], truth)
        metrics = [FSS(threshold=threshold, units_of_threshold="1", width=width) for threshold, width in events]
        return [float(metric.value(metric.statistics(a, b, mask, rows))) for metric in metrics]

    ours, mine = best(scored, repeats)
    rival, theirs = best(lambda: [pysteps_fss(forecast[0], truth[0], *event) for event in events], repeats)
    return compared(ours, rival, *max(zip(mine, theirs, strict=True), key=lambda pair: abs(pair[0] / pair[1] - 1)))


def compared(ours: float, rival: float, mine: float, theirs: float) -> dict[str, Any]:
    """Milliseconds of both, and how far apart their results are."""
    return {
        "ours": round(1e3 * ours, 1), "rival": round(1e3 * rival, 1), "ratio": round(rival / ours, 2),
        "check": abs(mine / theirs - 1),
    }  # fmt: skip


def card(leads: int) -> dict[str, Any]:
    """All scores that `wml evaluate` takes of an ensemble."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        truth, forecast = written(Path(folder), leads)
        cases = common_cases(truth, [forecast], [])
        cards = score_cards([truth.variables[name] for name in cases.variables], 3.0)
        init, rows = cases.init_times[0], torch.ones(CONUS[0])
        begin = time.process_time()
        for name in cases.variables:
            for lead in cases.lead_times:
                forecast.read(init, np.array([lead]), name)
        observed = truth.read(init + cases.lead_times, cases.variables)
        reading = time.process_time() - begin
        seconds: Counter[str] = Counter()
        clocked: Any = {
            variable: {name: Clocked(metric, variable, seconds) for name, metric in card.items()}
            for variable, card in cards.items()
        }
        begin, normal = time.process_time(), Normal(variables=cases.variables)
        score_case([forecast], observed, init, cases.lead_times, cards=clocked, rows=rows, climatology=normal)
        scoring = time.process_time() - begin
    return {
        "reading_s": round(reading, 1),
        "ours": round(scoring, 1),
        "limit": round(8 * reading, 1),
        "ratio": round(8 * reading / scoring, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "scores": sum(map(len, cards.values())),
        "seconds": {name: round(spent, 2) for name, spent in seconds.most_common() if spent >= 0.01},
    }


@dataclass(frozen=True, kw_only=True)
class Normal:
    """A climatology that costs nothing to read: 0."""

    variables: list[str]
    name: str = "normal"
    members: int = 1

    def read(self, init_time: np.datetime64, lead_times: Any, name: str) -> Any:  # noqa: ARG002
        """(L, 1, H, W)."""
        return np.zeros((len(lead_times), 1, *CONUS), np.float32)


@dataclass(frozen=True)
class Clocked:
    """A metric whose statistics are clocked; what several share counts for the one that asks first."""

    metric: Metric
    variable: str
    seconds: Counter[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.metric, name)

    def statistics(self, *fields: torch.Tensor) -> Any:
        """The metric's own."""
        begin = time.process_time()
        found = self.metric.statistics(*fields)
        spent = time.process_time() - begin
        self.seconds.update({self.metric.kind: spent, self.variable: spent})
        return found


def written(folder: Path, leads: int) -> tuple[Truth, ForecastFile]:
    """A truth and an ensemble of HRRR's seven variables, smooth in space and skewed, packed as the tool packs."""
    y, x = (np.linspace(0, 12, size, dtype=np.float32) for size in CONUS)
    waves = np.sin(y[:, None] + np.cos(x)) * np.cos(x * 1.3)
    noise = fields(MEMBERS + 1, *CONUS, seed=2) / 12
    truth, forecast = xr.Dataset(), xr.Dataset()
    for variable in TABLE.values():
        if variable.packing_step is None or variable.valid_min is None or variable.valid_max is None:
            continue
        low, high = variable.valid_min, variable.valid_max
        span = min(high - low, 60 * max(1.0, abs(variable.add_offset) / 100))
        states = np.clip(low + span * (0.3 + 0.3 * waves + 0.2 * noise), low, high).astype(np.float32)
        attributes = {"units": variable.units}
        encoding = {
            "dtype": "int16", "scale_factor": variable.packing_step, "add_offset": variable.add_offset,
            "_FillValue": -32768,
        }  # fmt: skip
        seen = np.broadcast_to(states[0], (leads, *CONUS))
        members = np.broadcast_to(states[1:], (1, leads, MEMBERS, *CONUS))
        truth[variable.name] = (("time", "y", "x"), seen, attributes, {**encoding, "chunks": (1, *CONUS)})
        dims = ("init_time", "lead_time", "member", "y", "x")
        forecast[variable.name] = (dims, members, attributes, {**encoding, "chunks": (1, 1, 1, *CONUS)})
    hours = np.arange(1, leads + 1)
    truth = truth.assign_coords(time=START + hours * HOUR)
    forecast = forecast.assign_coords(init_time=[START], lead_time=("lead_time", hours, {"units": "hours"}))
    for name, dataset in {"truth": truth, "forecast": forecast}.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.to_zarr(folder / f"{name}.zarr", zarr_format=3)
    opened = open_truth(folder / "truth.zarr")
    return opened, open_forecast(folder / "forecast.zarr", opened)


def main() -> None:
    """Measure one part and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=ASKED)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--leads", type=int, default=2, help="of the card")
    options = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "crps": lambda: crps(options.repeats),
        "fss": lambda: fss(options.repeats),
        "card": lambda: card(options.leads),
    }
    found = parts[options.part]()
    settings = {"benchmark": f"scores {options.part}", "threads": torch.get_num_threads(), "asked": ASKED[options.part]}
    print(json.dumps(settings | found))


if __name__ == "__main__":
    main()
