"""Whether a blend is at least as good as its best run, on cases that no fit saw.

    python benchmarks/blend.py

trains three small runs for each task, on sequences whose target is part noise and on the synthetic world, blends
them in every way, and scores runs and blends on the test part. For each task `chosen` is the way that scores best in
the validation part, as a user would choose it. A ratio above 1 is a blend better than the best run by that score;
`ratio` is the least of the chosen ones, `ours` and `limit` are the scores behind it.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from benchmarks.tool import timed
from weatherml.config import parse, parse_member
from weatherml.data.packing import unpack
from weatherml.data.prepare import prepare
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.store import Dataset, open_dataset
from weatherml.files import read_json
from weatherml.forecast.blend.config import BlendConfig, blend_path
from weatherml.forecast.blend.forecasts import blend_forecasts
from weatherml.forecast.blend.sequences import blend_sequences
from weatherml.forecast.ensemble import EnsembleConfig
from weatherml.grid import Grid
from weatherml.run.experiment import resolve
from weatherml.sources import SOURCES
from weatherml.sources.sequences import SequenceConfig, Sequences, complete_samples
from weatherml.tasks import Task
from weatherml.train.trainer import train
from weatherml.variables import Variable

Array = npt.NDArray[Any]
START, DAY = np.datetime64("2020-01-01T00:00:00", "s"), np.timedelta64(86400, "s")
COMBINERS = ("pool", "weighted", "conditional", "stacked")
SCORES: dict[Task, tuple[str, ...]] = {
    "emulate": ("rmse",),
    "classify": ("average_precision", "log_loss"),
    "segment": ("f1", "iou"),
    "forecast": ("relative_rmse",),
}
BETTER = {"rmse": -1, "average_precision": 1, "log_loss": -1, "f1": 1, "iou": 1, "relative_rmse": -1}
"""1 where more is better."""
STEPS = 4  # leads of a forecast


class NoisyEmulation(SequenceConfig):
    """A field that follows from two others' last days, and noise."""

    task: ClassVar[Task] = "emulate"
    series: int = 4
    days: int = 90
    size: int = 8
    length: int = 3
    seed: int = 0

    def build(self, inputs: Sequence[str]) -> Sequences:  # noqa: ARG002 - the world reads nothing
        """Sixty per cent of the days train, a fifth validates, the last fifth tests."""
        rng = np.random.default_rng(self.seed)
        shape = (self.series, self.days, self.size, self.size)
        noise = (rng.standard_normal(shape) for _ in range(3))
        wide = (0, 0, 1, 1) if self.size > 1 else 0
        a, b, own = (gaussian_filter(each, wide, mode="wrap") for each in noise)
        a, b, own = (each / each.std() for each in (a, b, own))
        signal = a + 0.8 * np.roll(a, 1, axis=1) * b + 0.5 * np.abs(np.roll(b, 1, axis=1))
        times = np.broadcast_to(START + np.arange(self.days) * DAY, shape[:2])
        known = complete_samples(times, length=self.length, lead=0, step=DAY)
        share = np.arange(self.days) / self.days
        values = {"a": a, "b": b, "target": self.target(signal, own, rng)}
        return Sequences(
            task=type(self).task,
            length=self.length,
            lead=0,
            grid=Grid(kind="index", y=np.arange(float(self.size)), x=np.arange(float(self.size))),
            series=tuple(f"s{n}" for n in range(self.series)),
            times=times,
            inputs=(Variable(name="a", units="1"), Variable(name="b", units="1")),
            targets=(Variable(name="target", units="K"),),
            values={name: each.astype(np.float32) for name, each in values.items()},
            part=np.where(known, np.select([share < 0.6, share < 0.8], [0, 1], 2), -1).astype(np.int8),
        )

    def target(self, signal: Array, own: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Signal and noise, in K."""
        return np.asarray(280 + 2 * signal + 2 * own)


class NoisyEvents(NoisyEmulation):
    """A rare event at a place, likelier where the signal is high."""

    task: ClassVar[Task] = "classify"
    series: int = 16
    days: int = 300
    size: int = 1

    def target(self, signal: Array, own: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """1 in about a tenth of the cases."""
        return np.asarray(rng.random(signal.shape) < expit(2 * signal - 5))


class NoisyMasks(NoisyEmulation):
    """A mask of where signal and noise together are high."""

    task: ClassVar[Task] = "segment"
    size: int = 16

    def target(self, signal: Array, own: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """1 in a tenth of the points."""
        total = signal + 0.7 * own
        return np.asarray(total > np.quantile(total, 0.9))


CROSS_ENTROPY = ("loss.kind=focal", "loss.gamma=0", "loss.alpha=null")
USUAL = (
    "train.batch=16",
    "train.lr=0.005",
    "train.warmup=10",
    "train.precision=32-true",
    "train.validation.every=1000",
)
CNN, WIDE = ("model.base_features=8", "model.blocks=1"), ("model.base_features=12", "model.blocks=2")
SMALL_UNET = ("model.base_features=8", "model.depth=1", "model.blocks=1")
LSTM = ("model.base_features=8", "model.lstm_hidden=8", "model.lstm_layers=1", "model.head=[16]", *CROSS_ENTROPY)
RUNS: dict[Task, list[tuple[str, tuple[str, ...]]]] = {
    "emulate": [
        ("simple-cnn", (*CNN, "loss.kind=mse", "train.steps=120")),
        ("simple-cnn", (*WIDE, "loss.kind=mse", "train.steps=80")),
        ("unet", (*SMALL_UNET, "loss.kind=mse", "train.steps=80")),
    ],
    "classify": [
        ("cnn-convlstm", (*LSTM, "model.attention=false", "train.steps=120")),
        ("cnn-convlstm", (*LSTM, "train.steps=120")),
        ("cnn-convlstm", (*LSTM, "model.kernel=1", "train.steps=80")),
    ],
    "segment": [
        ("convlstm-segmenter", ("model.hidden=[8]", "model.kernels=[3]", *CROSS_ENTROPY, "train.steps=80")),
        ("convlstm-segmenter", ("model.hidden=[8]", "model.kernels=[1]", *CROSS_ENTROPY, "train.steps=80")),
        ("convlstm-segmenter", ("model.hidden=[8]", "model.kernels=[3]", "train.steps=80")),
    ],
    "forecast": [
        ("simple-cnn", (*CNN, "train.batch=8", "train.steps=80")),
        ("unet-residual", (*SMALL_UNET, "train.batch=8", "train.steps=60")),
        ("persistence", ()),
    ],
}
WORLDS: dict[Task, type[NoisyEmulation]] = {
    "emulate": NoisyEmulation,
    "classify": NoisyEvents,
    "segment": NoisyMasks,
}
SYNTHETIC = {"height": 24, "width": 24, "hours": 300, "variables": {"t2m": {}, "u10": {}, "refc": {}}}


def main() -> None:
    """Train, blend, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--seed", type=int, default=0, help="of the worlds and the runs")
    options = parser.parse_args()
    logging.getLogger("weatherml").setLevel(logging.ERROR)
    with timed() as cost, tempfile.TemporaryDirectory() as work:
        found = {task: measure(task, Path(work) / task, options.seed) for task in options.tasks}
    worst = min((task for task in found), key=lambda task: found[task]["ratio"])
    figures = {name: found[worst][name] for name in ("ours", "limit", "ratio")}
    print(json.dumps({"benchmark": "blend", **found, "worst": worst, **figures, "cost": vars(cost)}))


def measure(task: Task, work: Path, seed: int) -> dict[str, Any]:
    """Train the runs of a task and blend them in every way."""
    data = work / "data.zarr"
    if task == "forecast":
        prepare(parse_member(SOURCES, {"kind": "synthetic", "seed": seed, **SYNTHETIC}, at="source"), [], data)
    else:
        prepare_sequences(WORLDS[task](seed=seed), [], data)
    runs = [trained(data, work / f"{number}-{kind}", kind, (*settings, f"train.seed={3 * seed + number}"))
            for number, (kind, settings) in enumerate(RUNS[task])]  # fmt: skip
    tables = {kind: blended(task, runs, data, work / kind, kind) for kind in COMBINERS}
    chosen = min(COMBINERS, key=lambda kind: tables[kind]["validation"])
    ratios = {kind: compared(task, tables[kind]["test"]) for kind in COMBINERS}
    name = min(ratios[chosen], key=lambda score: ratios[chosen][score])
    *each, ours = (row[name] for row in tables[chosen]["test"])
    return {
        "ratios": ratios,
        "chosen": chosen,
        "score": name,
        "ours": ours,
        "limit": max(each) if BETTER[name] > 0 else min(each),
        "ratio": ratios[chosen][name],
    }


def trained(data: Path, path: Path, kind: str, settings: Sequence[str]) -> Path:
    """A small run."""
    usual = USUAL if kind != "persistence" else ()
    return train(resolve(None, model=kind, assignments=[*usual, *settings]), data, path, device="cpu").path


def blended(task: Task, runs: list[Path], data: Path, output: Path, kind: str) -> dict[str, Any]:
    """`test`: the scores of each run, then of the blend; `validation`: the blend's cross-fitted error."""
    config = parse(BlendConfig, {"combine": kind})
    if task == "forecast":
        return blended_forecasts(runs, data, output, config)
    path = blend_sequences(runs, data, config, output=output.with_suffix(".nc"), device="cpu")
    report = read_json(blend_path(path))["scores"]
    *_, stage = [None, *report["validation"].get("target", {}).values()]
    error = "rmse" if task == "emulate" else "log_loss"
    return {"validation": stage["blend"][error], "test": list(report["test"]["target"].values())}


def blended_forecasts(runs: list[Path], data: Path, output: Path, config: BlendConfig) -> dict[str, Any]:
    """The same of forecasts: the mean over variables and leads of the RMSE over that of persistence, the last run."""
    calibrated = config.model_copy(update={"calibration": "spread"})  # then a pool is scored in validation too
    draw = EnsembleConfig(products=())
    paths = {way: output.with_name(f"{output.name}-{way}.zarr") for way in ("members", "blend")}
    for way, chosen in {"members": BlendConfig(), "blend": calibrated}.items():
        blend_forecasts(runs, data, chosen, draw=draw, steps=STEPS, output=paths[way], device="cpu")
    alone = rmse(data, paths["members"], mean=False)
    together = rmse(data, paths["blend"], mean=True)
    leads = [lead for each in read_json(blend_path(paths["blend"]))["scores"]["validation"].values() for lead in each]
    persistence = alone[..., -1]
    return {
        "validation": np.mean([lead["blend"]["rmse"] / lead[runs[-1].name]["rmse"] for lead in leads]),
        "test": [
            {"relative_rmse": float((each / persistence).mean())}
            for each in (*np.moveaxis(alone, -1, 0), together[..., 0])
        ],
    }


def compared(task: Task, rows: list[dict[str, float]]) -> dict[str, float]:
    """By score, how much better the blend is than the best run: above 1 it is."""
    *runs, blend = rows
    found = {}
    for name in SCORES[task]:
        best = max((run[name] for run in runs), key=lambda value: BETTER[name] * value)
        found[name] = round((blend[name] / best) ** BETTER[name], 4)
    return found


def rmse(data: Path, path: Path, *, mean: bool) -> Array:
    """(V, L, M) of each member over initial times and points, or (V, L, 1) of their mean."""
    dataset = open_dataset(data)
    with xr.open_dataset(path, engine="zarr", decode_timedelta=False) as forecast:
        first = np.searchsorted(dataset.times, forecast["init_time"].values.astype("datetime64[s]")) + 1
        return np.stack([_rmse(dataset, forecast, name, first, mean=mean) for name in dataset.names])


def _rmse(dataset: Dataset, forecast: xr.Dataset, name: str, first: Array, *, mean: bool) -> Array:
    whole = unpack(dataset.read(slice(None), name), dataset.packings[dataset.names.index(name)])
    whole = np.concatenate([whole, np.full((STEPS, *whole.shape[1:]), np.nan, np.float32)])  # leads beyond the record
    truth = np.stack([whole[start : start + STEPS] for start in first])
    members = forecast[name].values
    members = members if members.ndim == 5 else members[:, :, None]
    members = members.mean(axis=2, keepdims=True) if mean else members
    return np.asarray(np.sqrt(np.nanmean((members - truth[:, :, None]) ** 2, axis=(0, 3, 4))))


if __name__ == "__main__":
    main()
