"""An ensemble: many samples from each initial time, and what is made of them, streamed to disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from weatherml.config import Config, Settings
from weatherml.data.external import Record
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.windows import require_covered
from weatherml.files import output_lock, refuse_existing
from weatherml.forecast.derive import dataset_products, product_layers, write_products
from weatherml.forecast.forcing import open_record
from weatherml.forecast.initial import initial_indices
from weatherml.forecast.perturbation import Perturbation, require_alike
from weatherml.forecast.products import PRODUCTS
from weatherml.forecast.roller import Roller
from weatherml.forecast.rollout import Forecast, lay_out, report_stopped, request
from weatherml.forecast.rows import Rows, forecast_rows
from weatherml.forecast.sampling import sampling_model
from weatherml.forecast.store import ForecastWriter
from weatherml.progress import Progress, silent
from weatherml.registry import suggest
from weatherml.run.device import Device, pick_device
from weatherml.run.directory import Run, open_run
from weatherml.run.stepping import reach


class EnsembleConfig(Config):
    """How an ensemble is drawn, and what is written of it.

    Attributes:
        members: M, of each initial time.
        seed: a member is a function of it, the initial time and the member's number.
        sampler: settings laid on those of the sampler of the run that draws; None leaves it as it is.
        correlation: of the noise with that of the step before, AR(1).
        perturb: a generative run that perturbs the initial states, so that any run becomes an ensemble.
        amplitude: of these perturbations; 1 is the generative run's own uncertainty of one step.
        products: names of `PRODUCTS`.
        keep_members: False leaves the products alone.
        batch: rows stepped together; None takes what fits.
        tile: points to a side of the tiles in which the network works, for domains larger than the card; noise is
            drawn for the whole domain, and tiles are joined after every network call.
    """

    members: int = Field(50, ge=2)
    seed: int = Field(0, ge=0, lt=2**63)
    sampler: Settings | None = None
    correlation: float = Field(0.0, ge=0, lt=1)
    perturb: Path | None = None
    amplitude: NonNegativeFloat = 1.0
    products: tuple[str, ...] = tuple(PRODUCTS)
    keep_members: bool = True
    batch: PositiveInt | None = None
    tile: PositiveInt | None = None

    @field_validator("products")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in PRODUCTS:
                raise ValueError(f"no product {name!r}, {suggest(name, PRODUCTS)}")
        return names

    @model_validator(mode="after")
    def _has_effect(self) -> EnsembleConfig:
        if "amplitude" in self.model_fields_set and self.perturb is None:
            raise ValueError("amplitude: nothing is perturbed; name a generative run as perturb")
        if not (self.keep_members or self.products):
            raise ValueError("keep_members: neither members nor products are wanted, so nothing is left to write")
        return self


def ensemble(
    run: Path,
    data: Path,
    config: EnsembleConfig | None = None,
    *,
    forcing: Path | None = None,
    init: Sequence[str] = (),
    steps: int = 24,
    output: Path,
    device: Device = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    products_progress: Progress = silent,
) -> Forecast:
    """Draw members from each initial time (see `initial_indices` for `init`), and write them and their products.

    A member is the same whatever is computed beside it; a killed ensemble goes on where it stopped, member
    and lead, and ends as the same bytes. Memory holds one microbatch, whatever the members and hours. `forcing` is a
    dataset or a forecast; None takes the datasets that the runs were trained with, if any.

    Raises:
        MissingInputError: a run, dataset or initial time that is not there, with the history that both runs need.
        BadDataError: a dataset that is not the run's kind, runs of different data, or forcing that lacks a variable,
            a place or an hour.
        UsageError: a deterministic run, and nothing to perturb it.
        ConfigError: a sampler that the run cannot use.
        DiskError: the members would not fit.
        OutputError: the output exists or is being written.
        WMLError: a member turned non-finite; the valid part is kept at `output`.
    """
    config = config or EnsembleConfig()
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        opened, dataset = open_run(run), open_dataset(data)
        record, found = open_record(forcing), pick_device(device)
        rows = ensemble_rows(opened, dataset, config, init=init, steps=steps, device=found, record=record)
        products = dataset_products(config.products, rows.roller.dataset)
        derived = product_layers(products, rows.roller.dataset)
        writer = ForecastWriter(output, request(opened, rows) | choices(config), config.members)
        lay_out(writer, opened, rows, derived, ensemble=choices(config))
        forecast_rows(rows, writer, batch=config.batch, progress=progress)
        write_products(writer, products, rows, progress=products_progress)
        writer.finish(keep_members=config.keep_members)
    report_stopped(writer)
    return Forecast(path=output, init_times=rows.times, steps=steps, members=config.members)


def ensemble_rows(
    run: Run,
    dataset: Dataset,
    config: EnsembleConfig,
    *,
    init: Sequence[str],
    steps: int,
    device: torch.device,
    record: Record | None = None,
) -> Rows:
    """The members of each initial time, ready to be stepped; `record` is forcing other than the runs' own."""
    drawing = open_run(config.perturb) if config.perturb else run
    require_alike(drawing, run)
    matched, perturbation = run.forecast_lineage.matched(dataset, record), None
    data, drawn = run.experiment.data, drawing.experiment.data
    # a generative run that perturbs forecasts the initial time: its own history ends one step before
    history = data.history if drawing is run else max(data.history, drawn.history + 1)
    indices = initial_indices(matched, init, history=history, steps=reach(steps, data.lead))
    model = sampling_model(drawing, config.sampler)
    if drawing is not run:
        lineage = drawing.forecast_lineage
        states = lineage.matched(dataset, record if lineage.external else None)
        require_covered(states, indices - 1, drawn.lead)
        perturbation = Perturbation(Roller(drawing, states, model, device, tile=config.tile), config.amplitude)
        model = run.load_model()
    return Rows(
        roller=Roller(run, matched, model, device, tile=config.tile),
        indices=indices,
        steps=steps,
        members=config.members,
        seed=config.seed,
        correlation=config.correlation,
        perturbation=perturbation,
    )


def choices(config: EnsembleConfig) -> Settings:
    """What decides the result: not how many rows are stepped together, nor in what tiles."""
    return {key: value for key, value in config.settings().items() if key not in ("batch", "tile")}
