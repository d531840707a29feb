"""Forecasts become scores and a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from weatherml.data.stores import holds_sequences
from weatherml.door.stores import Given, each, path_of
from weatherml.errors import UsageError
from weatherml.files import read_json
from weatherml.verify import evaluation
from weatherml.verify.sequences.evaluation import evaluate_predictions

PARTS = ["value", "low", "high"]


def evaluate(
    forecasts: Given | Iterable[Given],
    truth: Given,
    *,
    baselines: Sequence[str | Path | dict[str, Any]] | None = None,
    regions: Sequence[str] = (),
    output: str | Path | None = None,
    states: str | Path | None = None,
    dask: str | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Score forecasts, or predictions of sequences, beside baselines on the same cases; write a report.

    Args:
        forecasts: one or several: paths, or datasets as `rollout`, `ensemble`, `predict` and `open_forecast` give them.
        truth: the dataset to score against.
        baselines: by name (`wml list baselines`) or settings, or paths of forecasts to be taken as such; the usual ones
            where None. Predictions have their own.
        regions: scored apart: `land`, `sea` or `NAME=south,north,west,east` in degrees; of forecasts.
        output: folder for report.html and the scores; a new one in `evaluation/` where None.
        states: a GeoJSON file of lines in longitude and latitude for the maps.
        dask: address of a scheduler whose workers score forecasts; this process where None.
        overwrite: replace the scores that stand there.

    Returns:
        `value` with its 5 to 95 % interval, `low` to `high`, (forecast, variable, metric, lead_time): baselines among
        the forecasts, lead times in hours; of predictions (forecast, variable, metric). Errors are in the variables'
        units; NaN where nothing was scored. `attrs["report"]` is the path of report.html.

    Raises:
        UsageError: a dataset that stands for no file, or baselines for predictions.
        MissingInputError: a file is not there.
        BadDataError: files that are broken, do not match, or have no case in common.
        OutputError: the output holds scores, or cannot be written.
    """
    paths, data = [path_of(given) for given in each(forecasts)], path_of(truth)
    target = Path(output) if output is not None else evaluation.new_output(paths[0])
    where: dict[str, Any] = {
        "output": target,
        "overwrite": overwrite,
        "states": None if states is None else Path(states),
    }
    if holds_sequences(data):
        return _of_sequences(paths, data, baselines, where)
    result = evaluation.evaluate(paths, data, baselines=baselines, regions=regions, dask=dask, **where)
    with xr.open_dataset(target / "scores.nc", engine="netcdf4", decode_timedelta=False) as scores:
        return scores[PARTS].load().assign_attrs(report=str(result.report))


def _of_sequences(
    paths: list[Path], truth: Path, baselines: Sequence[str | Path | dict[str, Any]] | None, where: dict[str, Any]
) -> xr.Dataset:
    if baselines:
        raise UsageError("baselines: are for forecasts; predictions are scored beside that of their task")
    result = evaluate_predictions(paths, truth, **where)
    scores = {
        (name, variable, metric): score
        for name, variables in read_json(result.scores)["forecasts"].items()
        for variable, metrics in variables.items()
        for metric, score in metrics.items()
    }
    index = pd.MultiIndex.from_tuples(scores, names=["forecast", "variable", "metric"])
    frame = pd.DataFrame(list(scores.values()), index=index, columns=PARTS).astype(float)
    return frame.to_xarray().assign_attrs(report=str(result.report))
