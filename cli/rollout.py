"""`wml rollout`: a run becomes a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.defaults import dataset_path, run_path
from cli.display import bar, say
from cli.options import Data, Device, DeviceOption, Forcing, Hours, Init, Output, Overwrite, Run, Steps, Tile
from weatherml.places import FORECASTS, fresh, run_name


def rollout(
    run: Run = None,
    data: Data = None,
    forcing: Forcing = None,
    init: Init = None,
    hours: Hours = None,
    steps: Steps = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Of sequences: train, validation or test; repeats (default: validation and test)."),
    ] = None,
    output: Output = None,
    tile: Tile = None,
    device: DeviceOption = Device.auto,
    overwrite: Overwrite = False,
) -> None:
    """Step a trained model forward in time; or predict the samples of a dataset of sequences."""
    from weatherml.forecast.length import forecast_steps
    from weatherml.forecast.rollout import rollout
    from weatherml.run.directory import open_run

    chosen = run_path(run)
    where = {"output": output, "device": device.value, "overwrite": overwrite}
    options = {"init": init, "hours": hours, "steps": steps, "tile": tile, "forcing": forcing}
    if open_run(chosen).lineage.task != "forecast":
        refuse(options, "for runs that forecast")
        predict_parts(chosen, dataset_path(data), part, where)
        return
    refuse({"part": part}, "for runs on sequences")
    with bar("rollout") as progress:
        forecast = rollout(
            chosen,
            dataset_path(data),
            forcing=forcing,
            init=init or [],
            steps=forecast_steps(chosen, hours=hours, steps=steps),
            output=output or fresh(FORECASTS, run_name(chosen), ".zarr"),
            device=device.value,
            tile=tile,
            overwrite=overwrite,
            progress=progress,
        )
    first, last = forecast.init_times[0], forecast.init_times[-1]
    say(f"{len(forecast.init_times)} initial time(s) {first}Z to {last}Z, {forecast.steps} steps each")
    print(f"forecast: {forecast.path}")


def refuse(options: dict[str, Any], whose: str) -> None:
    """Raise UsageError for the first option that was given."""
    from weatherml.errors import UsageError

    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name}: is {whose}, not for this one; leave it out")


def predict_parts(run: Path, data: Path, parts: list[str] | None, where: dict[str, Any]) -> None:
    """Predict parts of a dataset of sequences, and say where."""
    from weatherml.errors import UsageError
    from weatherml.forecast.predict import HELD_OUT, predict
    from weatherml.sources.sequences import PARTS

    for part in parts or []:
        if part not in PARTS:
            raise UsageError(f"--part {part}: unknown; give one of {', '.join(PARTS)}")
    output = where["output"] or fresh(FORECASTS, run_name(run), ".nc")
    with bar("predict") as progress:
        made = predict(run, data, **where | {"output": output}, parts=parts or HELD_OUT, progress=progress)
    print(f"forecast: {made}")
