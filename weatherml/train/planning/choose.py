"""An experiment's training fitted to a device before its run begins."""

from __future__ import annotations

from pathlib import Path

from weatherml.files import readable_size
from weatherml.run.device import Device, pick_device
from weatherml.run.directory import lineage_of, open_run
from weatherml.run.experiment import Experiment
from weatherml.train.planning.search import Budget, Search, refitted
from weatherml.train.planning.sizes import free_memory, parse_size
from weatherml.train.supply import open_selected


def fit_experiment(
    experiment: Experiment, data: Path, run: Path, *, device: Device = "auto", vram: str | None = None
) -> tuple[Experiment, str]:
    """The experiment with the cheapest settings that fit, and in words what was chosen.

    A run that is there keeps what was chosen when it began, so that it goes on whatever is free by now.

    Args:
        experiment: what is trained.
        data: the dataset.
        run: the run's directory.
        device: to train on.
        vram: its memory as people write it; None takes what is free now.

    Raises:
        UnavailableError: no settings fit.
        UsageError: not a size.
    """
    if (run / "status.json").exists():
        return refitted(experiment, open_run(run).experiment), f"fit: {run} goes on with the settings it began with"
    found = pick_device(device)
    budget = Budget(size=parse_size(vram)) if vram else free_memory(found)
    shape = lineage_of(open_selected(data, experiment)).model_shape(experiment)
    fit = Search(experiment, shape, device=found).fit(budget)
    chosen, peak = fit.settings, readable_size(fit.plan.train_peak_bytes)
    return fit.applied(experiment), (
        f"fit: batch={chosen.batch} accumulate={chosen.accumulate} checkpointing={chosen.checkpointing} "
        f"{chosen.precision}: {peak} of {readable_size(budget.size)} ({budget.name})"
    )
