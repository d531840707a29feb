"""`wml ensemble`: a run becomes a forecast of many members."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.defaults import FORECASTS, dataset_path, fresh, run_path
from cli.display import Bar, bar, say
from cli.options import Data, Device, DeviceOption, Hours, Init, Output, Overwrite, Run, Set, Steps, Tile

if TYPE_CHECKING:
    from weatherml.progress import Progress


def ensemble(
    run: Run = None,
    data: Data = None,
    init: Init = None,
    hours: Hours = None,
    steps: Steps = None,
    members: Annotated[int, typer.Option(help="Members of each initial time, 2 or more.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the members.")] = 0,
    sampler: Annotated[str | None, typer.Option(help="Sampler of a diffusion run (`wml list samplers`).")] = None,
    assignments: Set = None,
    correlation: Annotated[
        float, typer.Option("--noise-correlation", help="Of a member's noise with that of the step before, 0 to 1.")
    ] = 0.0,
    perturb: Annotated[
        Path | None, typer.Option(help="Generative run that perturbs the initial states: any run becomes an ensemble.")
    ] = None,
    amplitude: Annotated[
        float | None, typer.Option(help="Of these perturbations; 1 is the generative run's own uncertainty.")
    ] = None,
    products: Annotated[
        str, typer.Option(help="all, none, or some of mean,spread,probability,neighbourhood,pmm.")
    ] = "all",
    keep_members: Annotated[
        bool, typer.Option("--keep-members/--products-only", help="Keep the members beside their products.")
    ] = True,
    output: Output = None,
    tile: Tile = None,
    device: DeviceOption = Device.auto,
    overwrite: Overwrite = False,
) -> None:
    """Draw many forecasts from each initial time, and their mean, spread and probabilities."""
    from weatherml.config import parse
    from weatherml.forecast.ensemble import EnsembleConfig, ensemble
    from weatherml.forecast.length import forecast_steps

    config = parse(
        EnsembleConfig,
        {
            "members": members,
            "seed": seed,
            "sampler": sampler_settings(sampler, assignments or []),
            "correlation": correlation,
            "perturb": perturb,
            **({} if amplitude is None else {"amplitude": amplitude}),
            **product_settings(products),
            "keep_members": keep_members,
            "tile": tile,
        },
    )
    chosen = run_path(run)
    length = forecast_steps(chosen, hours=hours, steps=steps)
    with bar("ensemble") as progress, bar("products") as products_progress:
        forecast = ensemble(
            chosen,
            dataset_path(data),
            config,
            init=init or [],
            steps=length,
            output=output or fresh(FORECASTS, f"{chosen.resolve().name}-ensemble", ".zarr"),
            device=device.value,
            overwrite=overwrite,
            progress=with_pace(progress, length),
            products_progress=products_progress,
        )
    first, last = forecast.init_times[0], forecast.init_times[-1]
    count = len(forecast.init_times)
    say(f"{count} initial time(s) {first}Z to {last}Z, {forecast.members} members of {forecast.steps} steps each")
    print(f"forecast: {forecast.path}")


def sampler_settings(kind: str | None, assignments: list[str]) -> dict[str, Any] | None:
    """The settings of `--sampler` and of `--set sampler.KEY=VALUE`; None where neither is given.

    Raises:
        ConfigError: another key, which nothing here would take.
    """
    from weatherml.config import override
    from weatherml.errors import ConfigError

    settings = override({"sampler": {} if kind is None else {"kind": kind}}, assignments)
    for key in settings.keys() - {"sampler"}:
        raise ConfigError(f"--set {key}: an ensemble takes sampler.* alone; the rest was decided in training")
    return settings["sampler"] or None


def product_settings(text: str) -> dict[str, list[str]]:
    """`all`, `none`, or names with commas between."""
    if text == "all":
        return {}
    return {"products": [] if text == "none" else [name.strip() for name in text.split(",")]}


def with_pace(display: Bar, steps: int) -> Progress:
    """A progress that also says how many members, each of `steps` leads, an hour brings."""
    begun: list[tuple[float, int]] = []

    def show(done: int, total: int) -> None:
        begun.append((time.monotonic(), done)) if not begun else None
        since, first = begun[0]
        worked = (done - first) / steps
        display(done, total, f"{worked * 3600 / (time.monotonic() - since):.0f} members/h" if worked else "")

    return show
