"""Floods a day ahead on two real CAMELS basins, against logistic regression and gradient boosting.

    python -m benchmarks.floods --seeds 5

prepares forcing and streamflow as `camels.yaml` says, trains `configs/flood.yaml` once for each seed on the first 60 %
of the days, and scores the mean of their logits on the last 35 %. The rivals get the same normalised 30 days, all
side by side. Logistic regression has the best of four penalties on the test days themselves, in its favour. Printed are
average precisions with intervals from resampled blocks of 30 days, the same days for all; `ours`, `rival` (the better
of the two) and `ratio` of them.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from benchmarks.tool import timed
from weatherml.config import load, parse_member
from weatherml.data.loader import DataConfig
from weatherml.data.sequences.loader import SequenceLoader
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import SequenceDataset
from weatherml.run.directory import lineage_of
from weatherml.run.experiment import resolve
from weatherml.run.sequences import SequenceLineage
from weatherml.sources import SOURCES
from weatherml.train.trainer import train

Array = npt.NDArray[Any]
DATA = Path(os.environ.get("WML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETTINGS = Path(__file__).with_name("camels.yaml")
PENALTIES = (1.0, 0.1, 0.01, 0.001)
BLOCK_DAYS, RESAMPLES = 30, 1000


def main() -> None:
    """Prepare, train, score."""
    options = parse_options()
    table = parse_member(SOURCES, {"kind": "table", **load(SETTINGS)}, at="table")
    dataset = prepare_sequences(table, [str(options.camels)], options.work / "data.zarr", overwrite=True)
    with timed() as cost:
        ours = [logits(dataset, options.work / f"run-{seed}", options.settings, seed) for seed in range(options.seeds)]
    cases, labels = windows(dataset, "test")
    told = {"cnn-convlstm": np.mean(ours, axis=0), **rivals(windows(dataset, "train"), cases, labels)}
    days = dataset.samples("test")[:, 1]
    scores = {name: average_precision_score(labels, each) for name, each in told.items()}
    rival = max((name for name in told if name != "cnn-convlstm"), key=scores.__getitem__)
    result = {
        "benchmark": "floods",
        "ours": round(scores["cnn-convlstm"], 3),
        "rival": round(scores[rival], 3),
        "ratio": round(scores["cnn-convlstm"] / scores[rival], 3),
        "rival_is": rival,
        "average_precision": {name: round(score, 3) for name, score in scores.items()},
        "interval_90": intervals(told, labels, days, rival),
        "each_seed": [round(average_precision_score(labels, each), 3) for each in ours],
        "base_rate": round(float(labels.mean()), 4),
        "cases": len(labels),
        "cost": vars(cost),
    }
    print(json.dumps(result))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camels", type=Path, default=DATA / "camels", help="folder of forcing and streamflow")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="K=V", help="of `wml train`")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/floods"), help="runs there are gone on with")
    return parser.parse_args()


def loader(dataset: SequenceDataset, part: str) -> SequenceLoader:
    """The cases of a part, normalised as a run on these data does."""
    lineage = lineage_of(dataset)
    assert isinstance(lineage, SequenceLineage)
    by = {"inputs": lineage.input_normaliser(), "targets": lineage.target_normaliser()}
    return SequenceLoader(dataset, part, DataConfig(), **by, batch=32, seed=0)


def windows(dataset: SequenceDataset, part: str) -> tuple[Array, Array]:
    """(n, S F) normalised features and (n,) labels of a part."""
    cases = loader(dataset, part)
    batch = cases.cases(cases.samples)
    assert batch.target is not None
    return batch.history.flatten(1).numpy(), batch.target.flatten().numpy()


def logits(dataset: SequenceDataset, path: Path, settings: Sequence[str], seed: int) -> Array:
    """(n,) logits of the test cases by a run of one seed."""
    experiment = resolve("flood", assignments=[*settings, f"train.seed={seed}"])
    model = train(experiment, dataset.path, path, device="cpu").load_model()
    cases = loader(dataset, "test")
    with torch.no_grad():
        return np.asarray(model(cases.cases(cases.samples)).flatten().numpy())


def rivals(training: tuple[Array, Array], cases: Array, labels: Array) -> dict[str, Array]:
    """Scores of the test cases by each rival."""
    regressions = [LogisticRegression(C=C, max_iter=5000).fit(*training) for C in PENALTIES]
    told = [model.predict_proba(cases)[:, 1] for model in regressions]
    boosting = HistGradientBoostingClassifier(random_state=0).fit(*training)
    return {
        "logistic regression": max(told, key=lambda each: average_precision_score(labels, each)),
        "gradient boosting": boosting.predict_proba(cases)[:, 1],
    }


def intervals(told: dict[str, Array], labels: Array, days: Array, rival: str) -> dict[str, list[float]]:
    """The 5 % and 95 % points of each score and of ours less the rival's, over resampled blocks of days."""
    rng = np.random.default_rng(0)
    blocks = [np.flatnonzero(days // BLOCK_DAYS == block) for block in np.unique(days // BLOCK_DAYS)]
    drawn: dict[str, list[float]] = {name: [] for name in told}
    for _ in range(RESAMPLES):
        chosen = np.concatenate([blocks[number] for number in rng.integers(len(blocks), size=len(blocks))])
        if labels[chosen].any():
            for name, each in told.items():
                drawn[name].append(average_precision_score(labels[chosen], each[chosen]))
    samples = {name: np.array(values) for name, values in drawn.items()}
    samples["ours less the rival"] = samples["cnn-convlstm"] - samples[rival]
    return {name: [round(float(q), 3) for q in np.quantile(values, (0.05, 0.95))] for name, values in samples.items()}


if __name__ == "__main__":
    main()
