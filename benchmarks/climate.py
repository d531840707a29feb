"""Emulating real CMIP6: trained on one scenario, asked for another, beside pattern scaling.

IPSL-CM6A-LR on 20 x 20 points with the forcings of RCMIP: ssp585 trains, ssp126's temperature of 2080 to 2100 is
emulated, as its change since ssp585's mean of 2015 to 2034.

    python benchmarks/climate.py --minutes 3 --set model.dropout=0.1

`ours` is the larger error of `unet` and `convlstm`, `rival` that of pattern scaling, in K: the area-weighted RMSE of
the maps' mean over the 21 years; `ratio` is rival over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tool import timed
from weatherml.config import parse_member
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.data.sequences.store import SequenceDataset
from weatherml.forecast.predict import predictions
from weatherml.run.experiment import resolve
from weatherml.sources import SOURCES
from weatherml.train.trainer import train
from weatherml.verify.sequences.climate import climatebench_scores

DATA = Path(os.environ.get("WML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
FORCINGS = ("co2",)  # the others of one scenario go one way together: a network cannot tell whose effect is whose
SOURCE: dict[str, Any] = {"kind": "cmip", "length": 3, "reference": [2015, 2034]}
NETWORKS = {"unet": "climate", "convlstm": "climate"}


def prepared(work: Path) -> SequenceDataset:
    """The data set, made anew."""
    usual = parse_member(SOURCES, SOURCE, at="cmip")
    config = usual.model_copy(update={"forcings": {name: usual.forcings[name] for name in FORCINGS}})
    inputs = [str(DATA / "cmip6_mesmer"), str(DATA / "rcmip_ssp")]
    return prepare_sequences(config, inputs, work / "climate.zarr", overwrite=True)


def errors(dataset: SequenceDataset, predicted: np.ndarray | None) -> dict[str, float]:
    """`rmse_s` and `rmse_g` in K; None predicts no change."""
    series, step = dataset.samples("test").T
    truth = dataset.values["tas"][series, step]
    emulated = np.zeros_like(truth) if predicted is None else predicted[series, step]
    scores = climatebench_scores(emulated, truth, dataset.times[series, step], rows=dataset.grid.row_weights)
    return {name: round(scores[name], 3) for name in ("rmse_s", "rmse_g")}


def emulated(dataset: SequenceDataset, kind: str, run: Path, assignments: list[str]) -> dict[str, Any]:
    """The errors of a model, and what it took to train it and to ask it."""
    with timed() as cost:
        experiment = resolve(NETWORKS.get(kind), model=kind, assignments=assignments)
        trained = train(experiment, dataset.path, run, device="cpu", resume=False)
        found = predictions(trained, dataset, ["test"], device="cpu").values["tas"]
    return {**errors(dataset, found), "cost": vars(cost), "steps": trained.status()["step"]}


def main() -> None:
    """Prepare, train the three, and print what they score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/climate"))
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, each network")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="K=V", help="of both networks")
    options = parser.parse_args()
    dataset = prepared(options.work)
    runs = options.work / f"runs-{os.getpid()}"
    found = {"pattern-scaling": emulated(dataset, "pattern-scaling", runs / "pattern-scaling", [])}
    for kind in NETWORKS:
        chosen = [f"train.minutes={options.minutes}", *options.settings]
        found[kind] = emulated(dataset, kind, runs / kind, chosen)
        print(kind, found[kind], file=sys.stderr)
    ours, rival = max(found[kind]["rmse_s"] for kind in NETWORKS), found["pattern-scaling"]["rmse_s"]
    result = {
        "benchmark": "climate",
        **found,
        "no_change": errors(dataset, None),
        "ours": ours,
        "rival": rival,
        "ratio": round(rival / ours, 3),
    }
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
