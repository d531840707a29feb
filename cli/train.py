"""`wml train`: a dataset becomes a run."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.defaults import dataset_path
from cli.display import bar, say
from cli.options import Data, Device, DeviceOption, Set
from weatherml.places import RUNS, fresh, timestamp

if TYPE_CHECKING:
    from weatherml.run.experiment import Experiment


class Resume(StrEnum):
    """Whether to go on with a run that is there."""

    auto = "auto"
    never = "never"


def train(
    config: Annotated[
        str | None, typer.Option("--config", help="Experiment: a YAML file, or a name of `wml list configs`.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Kind of model (`wml list models`).")] = None,
    data: Data = None,
    forcing: Annotated[
        Path | None, typer.Option("--forcing", help="Dataset on a coarser grid, whose fields at valid times are known.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Run directory to write (default: a new one in runs/).")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length in optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Length in passes over the data, instead of steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length in minutes by the clock, instead.")] = None,
    device: DeviceOption = Device.auto,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and noise.")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="Take the cheapest settings that fit into memory.")] = False,
    vram: Annotated[str | None, typer.Option(help="Memory for --fit, such as 24GiB (default: what is free).")] = None,
    resume: Annotated[Resume, typer.Option(help="Go on with a run that is there, or refuse it.")] = Resume.auto,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Try learning rates instead, and suggest one; --run keeps the curve.")
    ] = False,
    assignments: Set = None,
) -> None:
    """Train a model; an interrupted run goes on when the same command runs again.

    On several GPUs: `torchrun --nproc-per-node 8 --no-python -- wml train ...`, or `srun wml train ...`.
    """
    from weatherml.run.experiment import resolve
    from weatherml.train.length import length_settings
    from weatherml.train.planning.choose import fit_experiment
    from weatherml.train.processes import started
    from weatherml.train.trainer import train

    check_memory(fit=fit, vram=vram)
    options = length_settings({"train.steps": steps, "train.epochs": epochs, "train.minutes": minutes})
    options += [] if seed is None else [f"train.seed={seed}"]
    options += [] if forcing is None else [f"data.forcing={forcing}"]
    experiment = resolve(config, model=model, assignments=[*options, *(assignments or [])])
    dataset = dataset_path(data or (Path(experiment.data.path) if experiment.data.path else None))
    if find_lr:
        suggest_rate(experiment, dataset, device, run)
        return
    path = run or fresh(RUNS, f"{experiment.model.kind}-{timestamp()}")
    if fit:
        experiment, chosen = fit_experiment(experiment, dataset, path, device=device.value, vram=vram)
        say(chosen)
    with bar("train") as progress:
        done = train(
            experiment,
            dataset,
            path,
            device=device.value,
            resume=resume is Resume.auto,
            display=lambda report: progress(report.step, report.steps, report.note),
        )
    if started().rank > 0:  # of several processes the first speaks
        return
    status = done.status()
    if status.get("skill") is not None:
        say(f"last validation: {status['skill']:.3f} x the error of {status['reference']}")
    print(f"run: {done.path}")


def check_memory(*, fit: bool, vram: str | None) -> None:
    """Refuse a memory that nothing is fitted to, and to fit several processes to what each finds free."""
    from weatherml.errors import UsageError
    from weatherml.train.processes import started

    if vram is not None and not fit:
        raise UsageError("--vram: has no effect without --fit; add it")
    if fit and vram is None and started().size > 1:
        raise UsageError("--fit: several processes may find different memory free; give --vram")


def suggest_rate(experiment: Experiment, dataset: Path, device: Device, folder: Path | None) -> None:
    """Sweep the learning rate and print what to set; the curve is kept in `folder` where there is one."""
    from weatherml.files import output_lock
    from weatherml.train.lr_finder import find_rate

    with nullcontext() if folder is None else output_lock(folder):  # before the sweep: it may not be writable
        sweep = find_rate(experiment, dataset, device=device.value)
        if folder is not None:
            sweep.save(folder)
    for rate, loss in sweep.table():
        say(f"  lr {rate:.1e}  loss {loss:.4f}")
    say(f"  breaks at {sweep.breaks_at:.1e}" if sweep.breaks_at else "  never breaks")
    print(f"train.lr: {sweep.suggested:.2g}")
