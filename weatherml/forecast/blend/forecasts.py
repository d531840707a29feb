"""Blend forecasts: each run's own is made beside the output, then they are combined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weatherml.data.store import Dataset
from weatherml.files import output_lock, read_json, refuse_existing, remove, require_free, write_json
from weatherml.forecast.blend.combine import Combination
from weatherml.forecast.blend.config import BlendConfig, Fitted, chosen, write_blend
from weatherml.forecast.blend.members import Members
from weatherml.forecast.blend.plan import Plan, planned
from weatherml.forecast.blend.runs import names
from weatherml.forecast.derive import dataset_products, product_layers
from weatherml.forecast.ensemble import EnsembleConfig, choices
from weatherml.forecast.rollout import Forecast
from weatherml.forecast.store import ForecastWriter, needed_bytes
from weatherml.progress import Progress, silent
from weatherml.run.device import Device, pick_device

REQUEST = "request.json"


def blend_forecasts(
    paths: Sequence[Path],
    data: Path,
    config: BlendConfig | None = None,
    *,
    draw: EnsembleConfig | None = None,
    weights: Path | None = None,
    init: Sequence[str] = (),
    steps: int = 24,
    output: Path,
    device: Device = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Forecast:
    """Forecast with each run from the same initial times, and blend; the fit is written to `.blend.json` beside.

    Pooled members stand side by side. Otherwise the runs' ensemble means are combined, and each member keeps its
    deviation from its own run's mean, times the factor that makes spread equal error in validation. A killed blend
    goes on where it stopped.

    Args:
        paths: of the runs.
        data: a dataset.
        config: how to blend; the weights' own, or pool, where None.
        draw: how members are drawn, and the products.
        weights: the `.blend.json` of an earlier blend of these runs; None fits on the validation part.
        init: see `initial_indices`.
        steps: leads.
        output: .zarr or .nc.
        device: where to compute.
        overwrite: replace an output that exists.
        progress: is told the leads done, first of each run, then of the blend.

    Raises:
        UsageError: fewer than two runs, runs of different tasks, or too few members for them.
        MissingInputError: a run, dataset, initial time or weights that are not there.
        BadDataError: runs that differ in grid, step or variables, weights of others, or too little to fit on.
        ConfigError: settings that do not suit forecasts.
        DiskError: the forecasts would not fit.
        OutputError: the output exists or is being written.
        StoppedError: a signal came; what is written is kept.
    """
    config, given = chosen(config, weights)
    plan = planned(
        paths,
        data,
        config=config,
        draw=draw or EnsembleConfig(),
        init=init,
        steps=steps,
        device=device,
        fitting=given is None,
    )
    if given is not None:
        given.require_for("forecast", names(plan.runs), plan.common.names, steps)
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        folder = working_folder(output, plan.request())
        fitted, scores = (given, {}) if given else plan.fit(folder / "validation", progress)
        made = plan.make(folder / "members", plan.times, progress)
        write(plan, made, fitted, output, progress)
        write_blend(output, config, fitted, scores)
        remove(folder)
    return Forecast(path=output, init_times=plan.times, steps=steps, members=plan.lead_fit.members or 1)


def working_folder(output: Path, request: dict[str, Any]) -> Path:
    """Where the runs' own forecasts lie until the blend is whole; what was made for another request is removed."""
    folder = output.with_name(f".{output.name}.runs")
    if not (folder / REQUEST).is_file() or read_json(folder / REQUEST) != request:
        remove(folder)
        folder.mkdir(parents=True)
        write_json(folder / REQUEST, request)
    return folder


def write(plan: Plan, made: Members, fitted: Fitted, output: Path, progress: Progress) -> None:
    """Write the blend and its products.

    Raises:
        DiskError: it will not fit.
        StoppedError: a signal came; what is written is kept.
    """
    dataset, lead_fit = plan.common, plan.lead_fit
    products = dataset_products(plan.draw.products, dataset) if lead_fit.members else {}
    layers = product_layers(products, dataset)
    writer = ForecastWriter(output, plan.request() | {"fitted": fitted.settings()}, lead_fit.members)
    needed = needed_bytes(dataset, (len(plan.times), plan.steps), lead_fit.members, layers)
    require_free(output, needed * (2 if output.suffix == ".nc" else 1) - writer.written)
    writer.create(dataset, plan.times, plan.steps, attributes(plan, dataset, fitted), derived=layers)
    Combination(
        made=made,
        dataset=dataset,
        fitted=fitted,
        pooled=lead_fit.pooled,
        products=products,
        cases=len(plan.times),
        steps=plan.steps,
    ).write(writer, device=pick_device(plan.device), progress=progress)
    writer.finish(keep_members=plan.draw.keep_members or not layers)


def attributes(plan: Plan, dataset: Dataset, fitted: Fitted) -> dict[str, Any]:
    """The forecast's global attributes: what made it, from what."""
    return {
        "title": f"blend ({fitted.combine}) of {len(plan.runs)} forecasts",
        "model": f"blend ({fitted.combine})",
        "run": " + ".join(fitted.runs),
        "dataset": dataset.path.name,
        "grid_kind": dataset.grid.kind,
        "variables": dataset.names,
        "ensemble": choices(plan.draw),
        "blend": fitted.settings(),
    }
