"""`wml train`: a dataset becomes a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.defaults import RUNS, dataset_path, fresh, timestamp
from cli.display import bar, say
from cli.options import Data, Device, DeviceOption, Set


class Resume(StrEnum):
    """Whether to go on with a run that is there."""

    auto = "auto"
    never = "never"


def train(
    config: Annotated[str | None, typer.Option("--config", help="Experiment: a YAML file or a shipped name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model kind (`wml list models`).")] = None,
    data: Data = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Run directory; a new one in runs/ where none is named.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data, instead of steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length by the clock, instead of steps.")] = None,
    device: DeviceOption = Device.auto,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and noise.")] = None,
    resume: Annotated[Resume, typer.Option(help="Go on with the run if it is there.")] = Resume.auto,
    assignments: Set = None,
) -> None:
    """Train a model; an interrupted run goes on when the same command runs again."""
    from weatherml.errors import UsageError
    from weatherml.run.experiment import resolve
    from weatherml.train.trainer import train

    lengths = {"train.steps": steps, "train.epochs": epochs, "train.minutes": minutes}
    if sum(length is not None for length in lengths.values()) > 1:
        raise UsageError("--steps, --epochs and --minutes: give one of them")
    given = {**lengths, "train.seed": seed}
    options = [f"{key}={value}" for key, value in given.items() if value is not None]
    if steps is not None or epochs is not None:  # a configuration's own length must not decide
        options += [f"{key}=null" for key in ("train.epochs", "train.minutes") if lengths[key] is None]
    experiment = resolve(config, model=model, assignments=[*options, *(assignments or [])])
    path = run or fresh(RUNS, f"{experiment.model.kind}-{timestamp()}")
    with bar("train") as progress:
        done = train(
            experiment,
            dataset_path(data or (Path(experiment.data.path) if experiment.data.path else None)),
            path,
            device=device.value,
            resume=resume is Resume.auto,
            display=lambda report: progress(report.step, report.steps, report.note),
        )
    status = done.status()
    if status.get("skill") is not None:
        say(f"last validation: {status['skill']:.3f} x the error of {status['reference']}")
    print(f"run: {done.path}")
