"""A trained model: its training, what it is, and the forecasts that it makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from weatherml.config import parse, plain
from weatherml.data.store import Dataset
from weatherml.data.stores import open_data
from weatherml.door.stores import Given, open_dataset, open_forecast, path_of
from weatherml.errors import BadDataError, UsageError
from weatherml.forecast import ensemble, predict, rollout
from weatherml.forecast.length import forecast_steps
from weatherml.places import FORECASTS, RUNS, fresh, run_name, timestamp
from weatherml.run import directory
from weatherml.run.device import Device
from weatherml.run.experiment import resolve
from weatherml.run.lineage import Lineage
from weatherml.train.length import length_settings
from weatherml.train.trainer import train

Time: TypeAlias = str | datetime | np.datetime64 | pd.Timestamp


class Run:
    """A run directory, opened; `open_run` and `train_model` give it.

    Args:
        path: of the directory.

    Attributes:
        path: `runs/NAME`.
    """

    def __init__(self, path: str | Path) -> None:
        self._run = directory.open_run(path)
        self.path = self._run.path

    def __repr__(self) -> str:
        status = self._run.status()
        kind = self._run.experiment.model.kind
        return f"<run {self.path}: {kind}, {self.task}, {status['state']} at step {status['step']}>"

    @property
    def task(self) -> str:
        """`forecast`, `emulate`, `classify` or `segment`."""
        return str(self._run.lineage.task)

    @property
    def config(self) -> dict[str, Any]:
        """The frozen configuration, every default written out, as plain types."""
        return self._run.experiment.settings()

    @property
    def variables(self) -> dict[str, str]:
        """What it predicts: units by name, in the model's order."""
        lineage = self._run.lineage
        told = lineage.variables if isinstance(lineage, Lineage) else lineage.targets
        return {variable.name: variable.units for variable in told}

    @property
    def grid(self) -> xr.Dataset:
        """The coordinates of the grid that it was trained on, from the dataset that it was trained with.

        Raises:
            MissingInputError: that dataset is not there any more.
            BadDataError: another one stands in its place.
        """
        store = open_data(Path(self._run.lineage.dataset))
        if store.grid.digest != self._run.lineage.grid:
            raise BadDataError(f"{store.path}: its grid is not the one that {self.path} was trained on; make it again")
        along = ["time"] if isinstance(store, Dataset) else ["series", "step"]
        return open_dataset(store.path).drop_dims(along).coords.to_dataset()

    @property
    def metrics(self) -> pd.DataFrame:
        """What training logged, a row each time, by `step`: loss, learning rate, skill; NaN where not measured."""
        lines = directory.read_metrics(self.path)
        frame = pd.DataFrame(lines, columns=None if lines else ["step"])
        return frame.groupby("step").first()

    def rollout(
        self,
        data: Given,
        *,
        init: Time | Iterable[Time] = (),
        hours: float | None = None,
        steps: int | None = None,
        output: str | Path | None = None,
        forcing: Given | None = None,
        device: Device = "auto",
        tile: int | None = None,
        overwrite: bool = False,
    ) -> xr.Dataset:
        """Step the model forward in time; the forecast is streamed to disk and opened from there.

        Args:
            data: the dataset that initial states come from.
            init: `test` (all initial times of that part), `last`, or times, UTC; 16 of the test part where empty.
            hours: length; 24 steps where neither this nor `steps` is given.
            steps: length in model steps.
            output: .zarr or .nc; a new store in `forecasts/` where None.
            forcing: dataset or forecast with the known fields from outside; the run's own where None.
            device: `auto`, `cpu` or `cuda`.
            tile: points to a side of the tiles in which the network works, for domains larger than the card.
            overwrite: replace what stands at `output`.

        Returns:
            Fields (init_time, lead_time, y, x), see `open_forecast`; `encoding["source"]` is the path.

        Raises:
            UsageError: the run does not forecast; lengths that contradict each other.
            MissingInputError: a dataset, forcing or initial time that is not there.
            BadDataError: data that are not the run's kind.
            OutputError: the output exists or is being written.
        """
        made = rollout.rollout(
            **self._start(data, init, hours, steps, forcing),
            output=self._target(output, "", ".zarr"),
            device=device,
            tile=tile,
            overwrite=overwrite,
        )
        return open_forecast(made.path)

    def ensemble(
        self,
        data: Given,
        *,
        members: int = 50,
        init: Time | Iterable[Time] = (),
        hours: float | None = None,
        steps: int | None = None,
        perturb: Run | str | Path | None = None,
        output: str | Path | None = None,
        forcing: Given | None = None,
        device: Device = "auto",
        overwrite: bool = False,
        **settings: Any,
    ) -> xr.Dataset:
        """Draw many forecasts from each initial time, with their mean, spread and probabilities.

        Args:
            data: as for `rollout`, and so `init`, `hours`, `steps`, `forcing`, `device` and `overwrite`.
            members: 2 or more.
            init: as above.
            hours: as above.
            steps: as above.
            perturb: a generative run that perturbs the initial states, for a run that is not generative itself.
            output: .zarr or .nc; a new store in `forecasts/` where None.
            forcing: as above.
            device: as above.
            overwrite: as above.
            **settings: `seed`, `sampler`, `correlation`, `amplitude`, `products`, `keep_members`, `batch`, `tile`; see
                `weatherml.forecast.ensemble.EnsembleConfig`.

        Returns:
            Fields (init_time, lead_time, member, y, x) and products such as `NAME_mean` (init_time, lead_time, y, x).

        Raises:
            UsageError: as `rollout`, or a deterministic run and nothing to perturb it.
            ConfigError: an unknown setting, or a sampler that the run cannot use.
            WMLError: as `rollout`.
        """
        chosen = {"members": members, "perturb": perturb.path if isinstance(perturb, Run) else perturb}
        made = ensemble.ensemble(
            **self._start(data, init, hours, steps, forcing),
            config=parse(ensemble.EnsembleConfig, settings | chosen),
            output=self._target(output, "-ensemble", ".zarr"),
            device=device,
            overwrite=overwrite,
        )
        return open_forecast(made.path)

    def predict(
        self,
        data: Given,
        *,
        parts: Sequence[str] = predict.HELD_OUT,
        output: str | Path | None = None,
        device: Device = "auto",
        overwrite: bool = False,
    ) -> xr.Dataset:
        """Predict the samples of a dataset of sequences: for runs that emulate, classify or segment.

        Args:
            data: the dataset.
            parts: of `train`, `validation` and `test`; thresholds are chosen on the second, scores are of the last.
            output: a .nc file; a new one in `forecasts/` where None.
            device: `auto`, `cpu` or `cuda`.
            overwrite: replace what stands at `output`.

        Returns:
            `TARGET` in its units, or `TARGET_probability` from 0 to 1, (series, step, y, x); NaN where not predicted.

        Raises:
            UsageError: the run forecasts; or the output is not NetCDF.
            BadDataError: data that are not the run's kind, or parts without a sample.
            OutputError: the output exists or is being written.
        """
        made = predict.predict(
            self.path,
            path_of(data),
            parts=parts,
            output=self._target(output, "", ".nc"),
            device=device,
            overwrite=overwrite,
        )
        return open_forecast(made)

    def _start(
        self, data: Given, init: Time | Iterable[Time], hours: float | None, steps: int | None, forcing: Given | None
    ) -> dict[str, Any]:
        """What a forecast starts from and how far it goes, as the stages take it: in paths, words and steps."""
        if self.task != "forecast":
            raise UsageError(f"{self.path}: its task is {self.task}, which steps nothing in time; call predict")
        return {
            "run": self.path,
            "data": path_of(data),
            "init": _times(init),
            "steps": forecast_steps(self.path, hours=hours, steps=steps),
            "forcing": None if forcing is None else path_of(forcing),
        }

    def _target(self, output: str | Path | None, what: str, suffix: str) -> Path:
        return Path(output) if output is not None else fresh(FORECASTS, f"{run_name(self.path)}{what}", suffix)


def open_run(path: str | Path) -> Run:
    """Open a run that `wml train` or `train_model` made.

    Raises:
        MissingInputError: nothing there.
        BadDataError: not a run, of another version, or files that do not read.
    """
    return Run(path)


def train_model(
    data: Given,
    /,
    *,
    config: str | Path | None = None,
    model: str | Mapping[str, Any] | None = None,
    run: str | Path | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    device: Device = "auto",
    resume: bool = True,
    **settings: Any,
) -> Run:
    """Train a model, as `wml train` does; an unfinished run goes on where it stopped.

    Args:
        data: the dataset.
        config: YAML file of an experiment, or a shipped name (`wml list configs`).
        model: kind of the model (`wml list models`), or settings of it, with a `kind` or of the configuration's.
        run: the run's directory; a new one in `runs/` where None.
        steps: length in optimizer steps; or
        epochs: in passes over the data; or
        minutes: by the clock. The configuration's where none is given.
        device: `auto`, `cpu` or `cuda`.
        resume: go on with the run if it is there.
        **settings: over the configuration, nested as in it: `train={"lr": 1e-3}, data={"history": 2}`.

    Raises:
        UsageError: two lengths.
        ConfigError: an unknown setting or a value that does not fit, or the run there was configured otherwise.
        BadDataError: a dataset that does not fit.
        StoppedError: it was interrupted; the state is saved.
    """
    lengths = length_settings({"train.steps": steps, "train.epochs": epochs, "train.minutes": minutes})
    chosen = {"kind": model} if isinstance(model, str) else dict(model or {})
    settings["model"] = {key: value for key, value in chosen.items() if key != "kind"}
    experiment = resolve(config, model=chosen.get("kind"), assignments=[*lengths, *assignments(settings)])
    target = Path(run) if run is not None else fresh(RUNS, f"{experiment.model.kind}-{timestamp()}")
    return Run(train(experiment, path_of(data), target, device=device, resume=resume).path)


def assignments(settings: Mapping[str, Any], at: str = "") -> list[str]:
    """Nested settings as `a.b=c`, the values as JSON, which YAML reads."""
    found: list[str] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += assignments(value, f"{at}{key}.")
        else:
            found.append(f"{at}{key}={json.dumps(plain(value), default=str)}")
    return found


def _times(init: Time | Iterable[Time]) -> list[str]:
    """Initial times in words: `test`, `last`, or ISO 8601."""
    several: list[Time] = [init] if isinstance(init, str | datetime | np.datetime64) else list(init)
    return [time if isinstance(time, str) else pd.Timestamp(time).isoformat() for time in several]
