"""How well clearings are found in three clear images of a forest, beside a threshold on the loss of green.

    python benchmarks/forests.py                     # the world of forest_world.py
    python benchmarks/forests.py --images FOLDER     # Sentinel-2 of eo-learn's examples: grassland, of its land cover

prepares, trains `configs/forest.yaml` for a fixed number of steps (about five minutes of one core) and scores the
test part: columns of patches that share no pixel with training. `ours` is F1 of the pixels at the threshold that is
best on the validation part. `rival` is F1 of the best threshold, chosen on the training part, of the fall of NDVI
from the first image to the last. Ratio is ours over rival. Precision and recall stand beside, and the base rate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.forest_world import simulate
from benchmarks.tool import timed
from weatherml.config import parse
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import SequenceDataset
from weatherml.files import read_json
from weatherml.forecast.predict import predictions
from weatherml.run.experiment import resolve
from weatherml.sources.patches import Patches
from weatherml.train.trainer import train

Array = npt.NDArray[Any]
Pixels = tuple[Array, Array]
"""Scores and labels of the pixels whose label is known."""

CHANGE: dict[str, Any] = {"label": {"change": True}}
GRASSLAND: dict[str, Any] = {
    "bands": {"ndvi": {"array": "NDVI", "low": -0.2, "high": 1.0}},
    "dates": "timestamps",
    "cloud": "CLM",
    "valid": "IS_VALID",
    "label": {"array": "LULC", "positive": [3], "unknown": [0]},
    "size": 32,  # 101 x 100 pixels have no room for more, were test and training to be apart
    "stride": 16,
}
RECIPE = ("train.epochs=null", "train.batch=2", "train.warmup=20", "train.ema=0.97", "train.validation.every=100000")


def main() -> None:
    """Draw the world or take the images, prepare, train, score."""
    options = parse_options()
    options.work.mkdir(parents=True, exist_ok=True)
    images, settings = options.images or options.work / "forest.npz", GRASSLAND if options.images else CHANGE
    if options.images is None:
        simulate((256, 1024), dates=24, seed=options.seed).save(images)
    with timed() as preparing:
        sizes = {"size": options.size, "stride": options.size} if options.size else {}
        config = parse(Patches, {**settings, **sizes})
        dataset = prepare_sequences(config, [str(images)], options.work / "data.zarr", overwrite=True)
    chosen = [*RECIPE, f"train.steps={options.steps}", *options.settings]
    with timed() as training:
        run = train(resolve("forest", assignments=chosen), dataset.path, options.work / options.name, device="cpu")
    with timed() as predicting:
        said = predictions(run, dataset, ("validation", "test"), device="cpu").values["label"]
    fall = -ndvi(dataset.values)
    fall[:, -1] -= fall[:, 0]
    ours = scores(pixels(dataset, said, "test"), best_threshold(pixels(dataset, said, "validation")))
    rival = scores(pixels(dataset, fall, "test"), best_threshold(pixels(dataset, fall, "train")))
    costs = {"prepare": preparing, "train": training, "predict": predicting}
    result = {
        "benchmark": "forests",
        "images": "s2_eolearn" if options.images else "synthetic",
        "steps": options.steps,
        "training": read_json(dataset.path / "quality.json")["train"],
        "segmenter": ours,
        "ndvi_fall": rival,
        "cost": {name: vars(cost) for name, cost in costs.items()},
        "ours": ours["f1"],
        "rival": rival["f1"],
        "ratio": round(ours["f1"] / max(rival["f1"], 1e-9), 3),
    }
    print(json.dumps(result))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of real images instead of the world")
    parser.add_argument("--steps", type=int, default=260)
    parser.add_argument("--size", type=int, help="of a patch, with the stride equal to it")
    parser.add_argument("--seed", type=int, default=0, help="of the world")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="K=V", help="of `wml train`")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/forest"))
    parser.add_argument("--name", default="run", help="of the run")
    return parser.parse_args()


def ndvi(values: Mapping[str, Array]) -> Array:
    """(N, S, H, W) of the vegetation index, NaN under clouds."""
    if "ndvi" in values:
        return values["ndvi"].copy()
    red, nir = values["red"], values["nir"]
    return np.asarray((nir - red) / np.maximum(nir + red, 1e-6))


def pixels(dataset: SequenceDataset, scored: Array, part: str) -> Pixels:
    """Of every sample of a part; a pixel without a score, under a cloud, is said to be none."""
    series, last = dataset.samples(part).T
    label, score = dataset.values["label"][series, last], scored[series, last]
    known = np.isfinite(label)
    return np.nan_to_num(score[known], nan=-np.inf), label[known] > 0.5


def best_threshold(given: Pixels) -> float:
    """The least score of a positive for the largest F1: after sorting, the best place to cut."""
    score, label = given
    order = np.argsort(-score)
    hits = np.cumsum(label[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + label.sum())
    return float(score[order[np.argmax(f1)]])


def scores(given: Pixels, threshold: float) -> dict[str, float]:
    """F1 with what makes it, accuracy with the base rate that makes it cheap."""
    score, label = given
    said = score >= threshold
    hits = float((said & label).sum())
    values = {
        "f1": 2 * hits / max(said.sum() + label.sum(), 1),
        "precision": hits / max(said.sum(), 1),
        "recall": hits / max(label.sum(), 1),
        "base_rate": label.mean(),
        "accuracy": (said == label).mean(),
        "threshold": threshold,
    }
    return {name: round(float(value), 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
