"""`wml ensemble`: a run becomes a forecast of many members; several runs become one forecast."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.defaults import dataset_path, run_path
from cli.display import Bar, bar, say
from cli.options import Data, Device, DeviceOption, Forcing, Hours, Init, Output, Overwrite, Runs, Set, Steps, Tile
from weatherml.places import FORECASTS, fresh, run_name

if TYPE_CHECKING:
    from weatherml.forecast.blend.config import BlendConfig
    from weatherml.forecast.ensemble import EnsembleConfig
    from weatherml.forecast.rollout import Forecast
    from weatherml.progress import Progress


def ensemble(
    run: Runs = None,
    data: Data = None,
    forcing: Forcing = None,
    init: Init = None,
    hours: Hours = None,
    steps: Steps = None,
    members: Annotated[int, typer.Option(help="Members of each initial time, 2 or more.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    sampler: Annotated[
        str | None, typer.Option(help="Sampler of a diffusion run (`wml list samplers`) (default: the run's own).")
    ] = None,
    assignments: Set = None,
    correlation: Annotated[
        float,
        typer.Option("--noise-correlation", help="Correlation of a member's noise from step to step, 0 to below 1."),
    ] = 0.0,
    perturb: Annotated[
        Path | None, typer.Option(help="Generative run that perturbs the initial states: any run becomes an ensemble.")
    ] = None,
    amplitude: Annotated[
        float | None,
        typer.Option(help="Size of these perturbations; 1 is the generative run's own uncertainty (default: 1)."),
    ] = None,
    products: Annotated[
        str, typer.Option(help="Beside the members: all, none, or some of mean,spread,probability,neighbourhood,pmm.")
    ] = "all",
    keep_members: Annotated[
        bool, typer.Option("--keep-members/--products-only", help="Keep the members beside their products.")
    ] = True,
    combine: Annotated[
        str | None,
        typer.Option(help="How several runs are blended: pool, weighted, conditional or stacked (default: pool)."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The .blend.json of an earlier blend of these runs, instead of a new fit.")
    ] = None,
    output: Output = None,
    tile: Tile = None,
    device: DeviceOption = Device.auto,
    overwrite: Overwrite = False,
) -> None:
    """Draw many forecasts from each initial time, and their mean, spread and probabilities; or blend several runs."""
    from weatherml.config import parse
    from weatherml.forecast.ensemble import EnsembleConfig

    blending = combine is not None or weights is not None or len(run or []) > 1
    mine, blends = split_assignments(assignments or [], blending=blending)
    draw = parse(
        EnsembleConfig,
        {
            "members": members,
            "seed": seed,
            "sampler": sampler_settings(sampler, mine),
            "correlation": correlation,
            "perturb": perturb,
            **({} if amplitude is None else {"amplitude": amplitude}),
            **product_settings(products),
            "keep_members": keep_members,
            "tile": tile,
        },
    )
    places: dict[str, Any] = {"output": output, "device": device.value, "overwrite": overwrite}
    times: dict[str, Any] = {"init": init, "hours": hours, "steps": steps}
    if blending:
        refuse_forcing(forcing)
        config = blend_config(combine, weights, blends)
        blend(run or [], data, draw, config=config, weights=weights, **times, **places)
    else:
        draw_one(run_path(run[0] if run else None), data, draw, forcing=forcing, **times, **places)


def refuse_forcing(forcing: Path | None) -> None:
    """Raise UsageError where forcing is named for several runs."""
    from weatherml.errors import UsageError

    if forcing is not None:
        raise UsageError("--forcing: runs of a blend take each its own; leave it out")


def draw_one(
    run: Path,
    data: Path | None,
    draw: EnsembleConfig,
    *,
    forcing: Path | None,
    init: list[str] | None,
    hours: float | None,
    steps: int | None,
    output: Path | None,
    **places: Any,
) -> None:
    """Draw members with one run, and say where they are."""
    from weatherml.forecast.ensemble import ensemble
    from weatherml.forecast.length import forecast_steps

    length = forecast_steps(run, hours=hours, steps=steps)
    with bar("ensemble") as progress, bar("products") as products_progress:
        forecast = ensemble(
            run,
            dataset_path(data),
            draw,
            forcing=forcing,
            init=init or [],
            steps=length,
            output=output or fresh(FORECASTS, f"{run_name(run)}-ensemble", ".zarr"),
            progress=with_pace(progress, length),
            products_progress=products_progress,
            **places,
        )
    report(forecast)


def report(forecast: Forecast) -> None:
    """Say what was written."""
    first, last = forecast.init_times[0], forecast.init_times[-1]
    count = len(forecast.init_times)
    say(f"{count} initial time(s) {first}Z to {last}Z, {forecast.members} members of {forecast.steps} steps each")
    print(f"forecast: {forecast.path}")


def blend(
    runs: list[Path],
    data: Path | None,
    draw: EnsembleConfig,
    *,
    config: BlendConfig | None,
    init: list[str] | None,
    hours: float | None,
    steps: int | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Blend several runs, forecasts or predictions of sequences, and say where the result is.

    Raises:
        UsageError: options that only a forecast has.
    """
    from weatherml.errors import UsageError
    from weatherml.forecast.blend.forecasts import blend_forecasts
    from weatherml.forecast.blend.runs import open_runs
    from weatherml.forecast.blend.sequences import blend_sequences
    from weatherml.forecast.length import forecast_steps

    forecasts = open_runs(runs)[0].lineage.task == "forecast"
    if not forecasts and (init or hours or steps):
        raise UsageError(
            "--init, --hours, --steps: only forecasts have them, these runs do not forecast; leave them out"
        )
    stem = f"{run_name(runs[0])}-{config.combine.kind if config else 'blend'}"
    options |= {"config": config, "output": output or fresh(FORECASTS, stem, ".zarr" if forecasts else ".nc")}
    with bar("blend") as progress:
        if forecasts:
            options |= {"init": init or [], "steps": forecast_steps(runs[0], hours=hours, steps=steps)}
            report(blend_forecasts(runs, dataset_path(data), draw=draw, progress=progress, **options))
        else:
            print(f"predictions: {blend_sequences(runs, dataset_path(data), progress=progress, **options)}")


def blend_config(combine: str | None, weights: Path | None, assignments: list[str]) -> BlendConfig | None:
    """How to blend; None where an earlier blend's weights say it.

    Raises:
        ConfigError: an unknown key, or settings beside weights, which have their own.
    """
    from weatherml.config import override, parse
    from weatherml.errors import ConfigError
    from weatherml.forecast.blend.config import BlendConfig

    if weights is not None and assignments:
        raise ConfigError(f"--set {assignments[0]}: --weights brings the settings it was fitted with; leave one out")
    if weights is not None and combine is None:
        return None
    return parse(BlendConfig, override({"combine": {"kind": combine or "pool"}}, assignments))


def split_assignments(assignments: list[str], *, blending: bool) -> tuple[list[str], list[str]]:
    """Those of `--set` that are the sampler's, and those that say how to blend; without a blend all are the first."""
    of_sampler = [each for each in assignments if not blending or each.startswith("sampler.")]
    return of_sampler, [each for each in assignments if each not in of_sampler]


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
