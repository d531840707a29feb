"""`wml plan`: what a training run will need, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import duration, say
from cli.options import Json, Set

if TYPE_CHECKING:
    from weatherml.train.planning.report import Report


def plan(
    config: Annotated[
        str | None, typer.Option("--config", help="Experiment: a YAML file, or a name of `wml list configs`.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Kind of model (`wml list models`).")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Take grid, variables and cases from this dataset.")
    ] = None,
    grid: Annotated[str | None, typer.Option(help="Points, as ROWSxCOLUMNS (default: HRRR's 1059x1799).")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Number of variables (default: HRRR's 7).")] = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Training cases of an epoch (default: 336, 14 days).")
    ] = None,
    vram: Annotated[str | None, typer.Option(help="Find settings that fit this memory, such as 24GiB.")] = None,
    low_memory: Annotated[
        bool, typer.Option("--low-memory", help="The thriftiest settings; model.norm=point, which allows tiles.")
    ] = False,
    tflops: Annotated[float | None, typer.Option(min=1e-3, help="TFLOP/s of a card that is not at hand.")] = None,
    timed: Annotated[bool, typer.Option("--time/--no-time", help="Time training on the device at hand.")] = True,
    apply: Annotated[
        Path | None, typer.Option("--apply", help="Write the experiment with these settings, as YAML.")
    ] = None,
    as_json: Json = False,
    assignments: Set = None,
) -> None:
    """Predict memory, work and time by running the real step, and find the cheapest settings that fit a card."""
    import json

    from weatherml.config import dump
    from weatherml.files import output_lock, refuse_existing, write_text
    from weatherml.run.experiment import resolve
    from weatherml.train.planning.report import Request, report
    from weatherml.train.planning.search import Budget, without_pooling
    from weatherml.train.planning.sizes import parse_grid, parse_size

    if apply is not None:
        refuse_existing(apply, overwrite=False)
    experiment = resolve(config, model=model, assignments=assignments or [])
    request = Request(
        experiment=without_pooling(experiment) if low_memory else experiment,
        data=data,
        grid=parse_grid(grid) if grid else None,
        channels=channels,
        cases=cases,
        budget=Budget(size=parse_size(vram)) if vram else None,
        low_memory=low_memory,
        tflops=tflops,
        timed=timed,
    )
    found = report(request)
    if apply is not None:
        with output_lock(apply):
            write_text(apply, dump(found.fit.applied(request.experiment).settings()))
        say(f"experiment: {apply}; train it with `wml train --config {apply}`")
    if as_json:
        print(json.dumps(found.table()))
    else:
        _show(found)


def _show(found: Report) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from weatherml.files import readable_size

    plan = found.fit.plan
    console, table = Console(), Table(title=found.title, show_header=False)
    rows = {"parameters": f"{plan.parameters:,}", "work of a step": f"{plan.flops_per_step / 1e12:.3g} TFLOP"}
    rows["memory, training"] = readable_size(plan.train_peak_bytes)
    rows |= {f"  {part}": readable_size(size) for part, size in asdict(plan.memory).items()}
    tiles = f" in tiles: --tile {found.fit.tile}" if found.fit.tile else ""
    rows["memory, forecasting"] = readable_size(plan.inference_peak_bytes) + tiles
    rows |= _times(found)
    rows["settings"] = "\n".join(f"{key}={value}" for key, value in found.fit.settings.settings().items())
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _times(found: Report) -> dict[str, Any]:
    time = found.time
    if time is None:
        return {}
    return {
        "time of a step": f"{time.seconds_per_step:.3g} s",
        f"  an epoch of {time.cases:,} cases": duration(time.seconds_per_epoch),
        f"  the run of {time.steps:,} steps": duration(time.seconds),
        "  on": f"{time.device}, {time.tflops:.3g} TFLOP/s",
    }
