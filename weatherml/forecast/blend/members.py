"""Each run's own forecast, made beside the output, and read lead by lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from weatherml.errors import UsageError
from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.rollout import rollout
from weatherml.progress import Progress, silent
from weatherml.run.device import Device
from weatherml.run.directory import Run

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Members:
    """Stores of K runs' forecasts from the same initial times.

    Attributes:
        stores: opened.
        sizes: members of each run; 1 where it is deterministic.
    """

    stores: tuple[xr.Dataset, ...]
    sizes: tuple[int, ...]

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Members:
        """Open finished forecasts."""
        stores = tuple(
            xr.open_dataset(path, engine="zarr", chunks=None, cache=False, decode_timedelta=False) for path in paths
        )
        return cls(stores=stores, sizes=tuple(store.sizes.get("member", 1) for store in stores))

    def read(self, name: str, case: int, leads: range) -> list[Array]:
        """Of each run, (l, M, H, W) float32 physical fields of one variable and initial time."""
        found = [store[name][case, leads.start : leads.stop].values.astype(np.float32) for store in self.stores]
        return [values if values.ndim == 4 else values[:, None] for values in found]


def shares(runs: Sequence[Run], config: EnsembleConfig, *, pooled: bool) -> tuple[int, ...]:
    """Members that each run draws, 1 of a deterministic one; pooled, they add up to those wanted.

    Raises:
        UsageError: too few members for so many runs.
    """
    drawing = [draws(run, config) for run in runs]
    if not any(drawing):
        return (1,) * len(runs)
    wanted = config.members - (drawing.count(False) if pooled else 0)
    each, left = divmod(wanted, sum(drawing))
    if each < 2:
        raise UsageError(f"--members {config.members}: fewer than 2 for each run that draws; ask for more")
    extra = np.cumsum(drawing) <= left
    return tuple(each + int(more) if draw else 1 for draw, more in zip(drawing, extra, strict=True))


def draws(run: Run, config: EnsembleConfig) -> bool:
    """Whether the run's forecast has members."""
    return type(run.experiment.model).generative or config.perturb is not None


def forecast_each(
    runs: Sequence[Run],
    data: Path,
    config: EnsembleConfig,
    *,
    sizes: Sequence[int],
    init: Sequence[str],
    steps: int,
    folder: Path,
    device: Device,
    progress: Progress = silent,
) -> Members:
    """Make each run's forecast in `folder`, but for those that are there, and open them."""
    paths = [folder / f"{k}.zarr" for k in range(len(runs))]
    for k, (run, path) in enumerate(zip(runs, paths, strict=True)):
        if path.exists():
            continue
        where = {"init": init, "steps": steps, "output": path, "device": device, "progress": progress}
        if draws(run, config):
            ensemble(run.path, data, own_config(run, config, sizes[k], k), **where)  # type: ignore[arg-type]
        else:
            rollout(run.path, data, tile=config.tile, **where)  # type: ignore[arg-type]
    return Members.open(paths)


def own_config(run: Run, config: EnsembleConfig, members: int, k: int) -> EnsembleConfig:
    """How run k draws: with noise of its own, and the sampler that was asked for where it takes one."""
    sampler = config.sampler if run.experiment.sampler is not None or config.perturb else None
    changes = {"members": members, "seed": config.seed + k, "sampler": sampler, "products": (), "keep_members": True}
    return config.model_copy(update=changes)
