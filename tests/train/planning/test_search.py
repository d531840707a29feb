"""The cheapest settings that fit: the fastest level of checkpointing, and of that the largest microbatch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.train.planning.small import make_shape
from weatherml.errors import UnavailableError, UsageError
from weatherml.run.experiment import Experiment, resolve
from weatherml.train.planning.plan import NOTHING
from weatherml.train.planning.search import (
    HEADROOM,
    Budget,
    Fit,
    Search,
    divisors,
    precisions,
    refitted,
    without_pooling,
)
from weatherml.train.planning.sizes import default_shape, free_memory, parse_grid, parse_size
from weatherml.train.planning.step import StepSettings

SMALL = ["model.base_features=8", "model.blocks=1", "model.depth=2", "train.batch=1", "train.accumulate=4"]
COST = {"none": 100, "activations": 60, "blocks": 40, "tiles": 20}


def experiment(*assignments: str) -> Experiment:
    return resolve(None, model="unet-residual", assignments=[*SMALL, *assignments])


def search_with_known_costs(trials: list[StepSettings]) -> Search:
    """Each case takes what its level costs, double in float32, and 10 are always held."""
    search = Search(experiment("train.precision=32-true"), make_shape(16, 16))

    def training(settings: StepSettings) -> tuple[int, object]:
        trials.append(settings)
        held = 10 + settings.batch * COST[settings.checkpointing] * (2 if settings.precision == "float32" else 1)
        return 1, replace(NOTHING, activations=held)

    search.planner.training = training  # type: ignore[method-assign, assignment]
    search.planner.levels = list(COST)  # type: ignore[arg-type]
    search.planner.inference = lambda *_, **__: 1  # type: ignore[method-assign]
    return search


@pytest.mark.parametrize(
    ("usable", "level", "batch", "precision"),
    [
        (1000, "none", 4, "float32"),  # 10 + 4 * 200
        (450, "none", 2, "float32"),  # 10 + 2 * 200
        (209, "activations", 1, "float32"),  # 10 + 120, and two are 250
        (100, "blocks", 1, "float32"),  # 10 + 80
        (51, "tiles", 1, "float32"),  # 10 + 40
        (40, "tiles", 1, "bf16"),  # 10 + 20, and two are 50
    ],
)
def test_the_cheapest_that_fits(usable: int, level: str, batch: int, precision: str) -> None:
    trials: list[StepSettings] = []
    found = search_with_known_costs(trials).fit(Budget(size=round(usable / HEADROOM) + 1)).settings
    assert (found.checkpointing, found.batch, found.precision) == (level, batch, precision)
    assert found.batch * found.accumulate == 4
    assert len(trials) == len(set(trials)) <= 8 + 2


def test_what_fits_nothing_says_what_it_needs() -> None:
    # 30 of bf16 tiles for one case, of 90 % of the card
    with pytest.raises(UnavailableError, match=r"--vram 20 B: unet-residual .* needs 33 B at the least .*tiles, bf16"):
        search_with_known_costs([]).fit(Budget(size=20))


def test_the_thriftiest_and_the_experiments_own() -> None:
    search = Search(experiment("train.checkpointing=activations"), make_shape(16, 16))
    own, thrifty = search.fit().settings, search.fit(low_memory=True).settings
    assert (own.checkpointing, own.batch, own.accumulate, own.precision) == ("activations", 1, 4, "bf16")
    assert (thrifty.checkpointing, thrifty.batch, thrifty.accumulate) == (search.planner.levels[-1], 1, 4)


def test_low_memory_takes_a_norm_that_allows_tiles() -> None:
    thrifty = without_pooling(experiment("model.norm=group"))
    search = Search(thrifty, make_shape(16, 16))
    assert search.fit(low_memory=True).settings.checkpointing == "tiles"
    assert without_pooling(thrifty) is thrifty
    assert without_pooling(resolve(None, model="simple-cnn")) == resolve(None, model="simple-cnn")


def test_a_forecast_that_does_not_fit_is_cut_into_tiles() -> None:
    search = Search(experiment("model.norm=point", "train.checkpointing=blocks"), make_shape(256, 256))
    whole = search.planner.inference("bf16")
    search.planner.training = lambda _: (1, NOTHING)  # type: ignore[method-assign]
    found = search.fit(Budget(size=round(0.9 * whole / HEADROOM)))
    assert found.tile in (64, 128)
    assert found.plan.inference_peak_bytes <= 0.9 * whole + 1


def test_applied_settings_are_an_experiment() -> None:
    before = experiment()
    fit = Fit(
        settings=StepSettings(batch=2, accumulate=2, precision="bf16", checkpointing="blocks"),
        precision="bf16",
        plan=Search(before, make_shape(16, 16)).fit().plan,
    )
    train = fit.applied(before).train
    assert (train.batch, train.accumulate, train.checkpointing, train.precision) == (2, 2, "blocks", "auto")
    assert refitted(before, fit.applied(before)).settings() == fit.applied(before).settings()
    other = experiment("train.accumulate=6")
    assert refitted(other, fit.applied(before)) is other  # another effective batch is another run


def test_precisions_from_the_experiments_own_to_thriftier() -> None:
    assert precisions(experiment().train, None) == ["bf16"]
    assert precisions(experiment("train.precision=32-true").train, None) == ["float32", "bf16"]
    assert precisions(experiment("train.precision=bf16-mixed").train, torch.device("cpu")) == ["bf16"]


def test_divisors() -> None:
    assert divisors(12) == [1, 2, 3, 4, 6, 12]


def test_sizes_and_grids() -> None:
    assert parse_size("24GiB") == 24 * 2**30
    assert parse_size("800 MB") == 800_000_000
    assert parse_size("1e9") == 10**9
    assert parse_grid("1059x1799") == (1059, 1799)
    for wrong in ("much", "1.2.3GiB", "12 parsecs"):
        with pytest.raises(UsageError, match="24GiB"):
            parse_size(wrong)
    with pytest.raises(UsageError, match="--grid 64"):
        parse_grid("64")
    assert free_memory(torch.device("cpu")).size > 2**20


SLOW = [pytest.param(f"hrrr-{kind}-4090", marks=pytest.mark.slow) for kind in ("ddpm", "edm")]  # half a minute each


@pytest.mark.parametrize("name", ["hrrr-crps-4090", *SLOW])
def test_what_is_shipped_for_24_gib_fits_it(name: str) -> None:
    """With its own settings, on full CONUS."""
    found = resolve(name)
    fit = Search(found, default_shape(found, grid=None, channels=None)).fit()
    usable = Budget(size=24 * 2**30).usable
    assert fit.plan.train_peak_bytes <= usable
    assert fit.plan.inference_peak_bytes <= usable
