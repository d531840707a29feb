"""What commands read of their inputs, by the functions that they call and without the work that follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weatherml.data.opening import opened
from weatherml.data.workers import each_time
from weatherml.mortal import become_mortal
from weatherml.run.curves import plot_training
from weatherml.run.directory import load_weights, open_run
from weatherml.sources import SOURCES
from weatherml.sources.base import Frame
from weatherml.verify.files.forecasts import open_forecast
from weatherml.verify.files.truth import open_truth


def open_source(arguments: Sequence[str]) -> None:
    """What `wml prepare` reads of a source before it starts workers."""
    kind, *inputs = arguments
    SOURCES[kind]().build(inputs)


def read_source(arguments: Sequence[str]) -> None:
    """What `wml prepare` reads of a source, in this process: its headers, then every field."""
    kind, *inputs = arguments
    source = SOURCES[kind]().build(inputs)
    source.describe()
    for _ in source.read(source.times):
        pass


def read_mortally(arguments: Sequence[str]) -> None:
    """The same, as the process does it that `wml prepare` starts to read NetCDF."""
    become_mortal()
    read_source(arguments)


def read_apart(arguments: Sequence[str]) -> None:
    """The same, in a process that may die alone."""
    kind, *inputs = arguments
    source, description = opened(SOURCES[kind](), inputs)
    for _ in each_time(source, description.times, dropped, workers=1):
        pass


def dropped(frame: Frame) -> None:
    """Nothing is kept of it."""


def load_model(arguments: Sequence[str]) -> None:
    """What `wml rollout` and `wml ensemble` read of a run: its files, weights and calibration."""
    for run in arguments:
        open_run(run).load_model()


def load_latest(arguments: Sequence[str]) -> None:
    """What `wml train` reads of a run that it goes on with: the last checkpoint, optimizer and all."""
    for path in arguments:
        run = open_run(path)
        saved = run.latest()
        assert saved
        load_weights(run.build_model(), saved.average, run.path)


def read_forecast(arguments: Sequence[str]) -> None:
    """What `wml evaluate` reads of a forecast, held against the truth: its coordinates, then every field."""
    path, truth = map(Path, arguments)
    forecast = open_forecast(path, open_truth(truth))
    for name in forecast.variables:
        for time in forecast.init_times:
            forecast.read(time, forecast.lead_times, name)


def draw_curves(arguments: Sequence[str]) -> None:
    """The figure of a run's training."""
    run, output = map(Path, arguments)
    plot_training(run, output)
