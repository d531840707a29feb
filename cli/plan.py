"""`wml plan`: what a training run will need, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import say
from cli.options import Json, Set


def plan(
    config: Annotated[str | None, typer.Option("--config", help="Experiment: a YAML file or a shipped name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model kind (`wml list models`).")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Take grid and channels from this dataset.")] = None,
    grid: Annotated[str | None, typer.Option(help="ROWSxCOLUMNS. [default: HRRR's 1059x1799]")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Variables. [default: HRRR's 7]")] = None,
    vram: Annotated[str | None, typer.Option(help="Memory of the card, for example 24GiB: settings that fit.")] = None,
    low_memory: Annotated[bool, typer.Option("--low-memory", help="The thriftiest settings.")] = False,
    as_json: Json = False,
    assignments: Set = None,
) -> None:
    """Predict parameters, work and peak memory by running the real step on tensors without data."""
    import json

    from weatherml.data.stores import open_data
    from weatherml.files import readable_size
    from weatherml.run.directory import lineage_of
    from weatherml.run.experiment import resolve
    from weatherml.train.budget import default_shape, fit, parse_grid, parse_size

    experiment = resolve(config, model=model, assignments=assignments or [])
    if data is not None:
        shape = lineage_of(open_data(data)).model_shape(experiment)
    else:
        shape = default_shape(experiment, grid=parse_grid(grid) if grid else None, channels=channels)
    found = fit(experiment, shape, vram=parse_size(vram) if vram else None, low_memory=low_memory)
    if as_json:
        print(json.dumps(found.table()))
        return
    say(f"{experiment.model.kind} on {shape.height} x {shape.width} points, {shape.channels} channels")
    print(f"parameters            {found.plan.parameters:,}")
    print(f"work of a step        {found.plan.flops_per_step / 1e12:.3g} TFLOP")
    print(f"memory, training      {readable_size(found.plan.train_peak_bytes)}")
    print(f"memory, forecasting   {readable_size(found.plan.inference_peak_bytes)}")
    print("settings              " + ", ".join(f"{key}={value}" for key, value in found.settings.settings().items()))
