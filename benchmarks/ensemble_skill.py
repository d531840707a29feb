"""An ensemble's skill on a world whose best attainable score is known.

    python benchmarks/ensemble_skill.py --world waves --config edm-small

draws the world, then prepares, trains and forecasts as a user would, from initial times spread over the
test part, and scores the members beside an ensemble drawn from the world's own law from the same states. The
fair CRPS of that one is the attainable score. Both are scored against what came and as many as `FUTURES` more
that might have come, drawn from the law too: chance in the truth would hide what is sought. Ranks are those of
what came. `ours` and `limit` are the CRPS of the variable and lead (first or last) that is farthest from it,
`ratio` is limit over ours.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from benchmarks.files import members
from benchmarks.tool import Cost, settings, wml
from benchmarks.worlds import HOUR, START, WORLDS, World, write_world
from weatherml.data.store import open_dataset
from weatherml.data.windows import evenly
from weatherml.metrics.base import Metric, Statistics
from weatherml.metrics.crps import CRPS
from weatherml.metrics.rank_histogram import RankHistogram
from weatherml.metrics.spread_error_correlation import SpreadErrorCorrelation
from weatherml.metrics.spread_skill_ratio import SpreadSkillRatio

Array = npt.NDArray[Any]
ATTAINABLE_MEMBERS = 64  # fair CRPS does not depend on it on average; more make it less noisy
FUTURES = 7
CRPS_, SPREAD, RANKS, KNOWING = CRPS(), SpreadSkillRatio(), RankHistogram(), SpreadErrorCorrelation()
Tally = dict[str, Statistics]
"""Statistics by metric; each variable's leads follow the last one's."""


def main() -> None:
    """Draw, prepare, train, forecast, score."""
    options = parse_options()
    world, work = WORLDS[options.world], options.work / f"{options.world}-{options.times}-{options.seed}"
    rng = np.random.default_rng(options.seed)
    fields = world.simulate(options.times, rng)
    write_world(world, fields, work)
    data = work / "data.zarr"
    costs = {"prepare": prepare(work, data)}
    inits = initial_times(data, cases=options.cases, steps=options.steps)
    forecast, made = forecasts(work, data, inits, options)
    ours, limit, power = score(world, fields, inits, forecast, rng)
    result = report(list(world.variables), options.steps, ours, limit, power)
    spent = {command: vars(cost) for command, cost in (costs | made).items()}
    about = {name: getattr(options, name) for name in ("world", "config", "members", "cases", "steps")}
    print(json.dumps({"benchmark": "ensemble_skill", **about, **result, "cost": spent}))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="waves")
    parser.add_argument("--config", default="edm-small")
    parser.add_argument("--times", type=int, default=2000, help="length of the world")
    parser.add_argument("--seed", type=int, default=0, help="of the world")
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="K=V", help="of `wml train`")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--name", help="of the run; the configuration's where none is given")
    return parser.parse_args()


def prepare(work: Path, data: Path) -> Cost:
    """The world as a dataset; one that is there is kept, since a name has one law, length and seed."""
    if data.exists():
        return Cost()
    return wml("prepare", "netcdf", "--config", work / "prepare.yaml", "--input", work / "world.nc", "--output", data)


def initial_times(data: Path, *, cases: int, steps: int) -> Array:
    """Indices of times spread over the test part, each with a history before and `steps` of truth after it."""
    part = open_dataset(data).part("test")
    history = 4
    return evenly(np.arange(part[0] + history, part[-1] - steps + 1), cases)


def forecasts(work: Path, data: Path, inits: Array, options: argparse.Namespace) -> tuple[xr.Dataset, dict[str, Cost]]:
    """Train and draw the ensemble, as a user would."""
    name = options.name or options.config
    run, output = work / name, work / f"{name}.zarr"
    chosen = settings(["model.padding=circular", *options.settings])
    starts = [part for time in START + HOUR * inits for part in ("--init", f"{time}Z")]
    sizes = ("--members", options.members, "--steps", options.steps, "--products", "none")
    costs = {
        "train": wml("train", "--config", options.config, "--data", data, "--run", run, *chosen),
        "ensemble": wml("ensemble", "--run", run, "--data", data, *starts, *sizes, "--output", output, "--overwrite"),
    }
    return xr.open_dataset(output, engine="zarr", decode_timedelta=False), costs


def score(
    world: World, fields: Array, inits: Array, forecast: xr.Dataset, rng: np.random.Generator
) -> tuple[list[Tally], list[Tally], Array]:
    """Each case's statistics, ours and the oracle's, and (2, V L, bins) the members' summed spectra."""
    ours, limit, power = [], [], []
    for case, init in enumerate(inits):
        mine = members(forecast, list(world.variables), case)
        steps, count = mine.shape[:2]
        came = fields[init + 1 : init + 1 + steps]
        history = fields[init - world.memory + 1 : init + 1]
        drawn = world.oracle(history, steps=steps, members=ATTAINABLE_MEMBERS + FUTURES, rng=rng)
        law, futures = np.split(drawn, [ATTAINABLE_MEMBERS], axis=1)
        truths = [came, *np.moveaxis(futures, 1, 0)]
        ours.append(statistics(mine, truths, (CRPS_, SPREAD, KNOWING)) | statistics(mine, [came], (RANKS,)))
        alike = law[:, :count]
        of_alike = statistics(alike, truths, (SPREAD, KNOWING)) | statistics(alike, [came], (RANKS,))
        limit.append(statistics(law, truths, (CRPS_,)) | of_alike)
        power.append([spectra(mine), spectra(law)])
    return ours, limit, np.sum(power, axis=0)


def statistics(forecast: Array, truths: Sequence[Array], metrics: Sequence[Metric]) -> Tally:
    """Of one case: forecast (L, M, C, H, W), each truth (L, C, H, W)."""
    flat = torch.from_numpy(np.ascontiguousarray(rows(forecast)))
    observed = [torch.from_numpy(np.ascontiguousarray(rows(truth))) for truth in truths]
    mask, weights = torch.ones(observed[0].shape, dtype=torch.bool), torch.ones(observed[0].shape[-2])
    return {
        metric.name: total(metric.statistics(flat, truth, mask, weights) for truth in observed) for metric in metrics
    }


def rows(fields: Array) -> Array:
    """(L, ..., C, H, W) to (C L, ..., H, W)."""
    by_variable = np.moveaxis(fields, -3, 0)
    return by_variable.reshape(-1, *by_variable.shape[2:])


def spectra(fields: Array) -> Array:
    """Mean power of (L, M, C, H, W) members at wavenumbers 1 to N/2: (C L, bins)."""
    flat = rows(fields)
    power = (np.abs(np.fft.fft2(flat)) ** 2).mean(1)
    height, width = power.shape[-2:]
    wavenumber = np.hypot(np.fft.fftfreq(height, 1 / height)[:, None], np.fft.fftfreq(width, 1 / width)).round()
    bins = range(1, min(height, width) // 2 + 1)
    return np.stack([power[:, wavenumber == k].mean(-1) for k in bins], axis=-1)


def summed(tallies: Sequence[Tally], metric: Metric) -> Statistics:
    """One metric's statistics of all cases."""
    return total(tally[metric.name] for tally in tallies)


def total(parts: Iterable[Statistics]) -> Statistics:
    """The statistics of all that the parts are of."""
    return reduce(lambda a, b: {name: a[name] + b[name] for name in a}, parts)


def report(names: list[str], steps: int, ours: list[Tally], limit: list[Tally], power: Array) -> dict[str, Any]:
    """What is printed: figures by variable at the first and the last lead, spread-skill at every lead."""
    mine, best = (metric_values(tallies, CRPS_) for tallies in (ours, limit))
    error_db = np.abs(10 * np.log10(power[0] / power[1])).max(-1)
    quotient = mine / best
    ends = [0, steps - 1]
    worst = max(
        (row for v in range(len(names)) for row in (v * steps, v * steps + steps - 1)), key=quotient.__getitem__
    )

    def by_variable(values: Any, leads: Sequence[int]) -> dict[str, list[float]]:
        table = np.asarray(values).reshape(len(names), steps)[:, leads]
        return {name: [float(f"{value:.4g}") for value in row] for name, row in zip(names, table, strict=True)}

    return {
        "crps_over_attainable": by_variable(quotient, ends),
        "its_standard_error": by_variable(standard_error(ours, limit), ends),
        "spread_skill": by_variable(metric_values(ours, SPREAD), range(steps)),
        "spread_skill_of_the_law": by_variable(metric_values(limit, SPREAD), range(steps)),
        "rank_histogram_p": by_variable(flatness(ours), ends),
        "rank_histogram_p_of_the_law": by_variable(flatness(limit), ends),
        "spectrum_error_db": by_variable(error_db, ends),
        "spread_error_correlation": by_variable(metric_values(ours, KNOWING), ends),
        "spread_error_correlation_of_the_law": by_variable(metric_values(limit, KNOWING), ends),
        "ours": float(mine[worst]),
        "limit": float(best[worst]),
        "ratio": round(float(best[worst] / mine[worst]), 4),
    }


def metric_values(tallies: Sequence[Tally], metric: Metric) -> Tensor:
    """(V L) the score of all cases."""
    return metric.value(summed(tallies, metric))


def flatness(tallies: Sequence[Tally]) -> Array:
    """(V L) the probability of a rank histogram no flatter, if members and truth are drawn alike."""
    diagram = RANKS.diagram(summed(tallies, RANKS))
    assert diagram is not None
    return np.asarray(diagram.arrays["p_value"])


def standard_error(ours: list[Tally], limit: list[Tally]) -> Tensor:
    """Of the ratio of two means over the same cases, by the delta method."""
    mine, best = (torch.stack([tally["crps"]["crps"] for tally in tallies]) for tallies in (ours, limit))
    rest = mine - mine.mean(0) / best.mean(0) * best
    error: Tensor = rest.std(0) / best.mean(0) / len(ours) ** 0.5
    return error


if __name__ == "__main__":
    main()
