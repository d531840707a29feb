"""Ensembles: members reproducible in any company, resumable to the same bytes, in the memory of one microbatch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from weatherml.config import parse
from weatherml.data.store import open_dataset
from weatherml.errors import (
    ConfigError,
    DiskError,
    StoppedError,
    UnavailableError,
    UsageError,
    WMLError,
)
from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.products import PRODUCTS, mean, probability, probability_matched_mean, spread
from weatherml.forecast.rollout import rollout
from weatherml.forecast.state import State
from weatherml.forecast.store import ForecastWriter
from weatherml.models import MODELS
from weatherml.models.persistence import PersistenceModel
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.train.trainer import train

STEP_STD = 0.1
GENERATIVE = [name for name in MODELS if MODELS[name].generative]
SMALL = {"base_features": 8, "depth": 1, "blocks": 1}


@pytest.fixture
def draw(persistence: Run, small_dataset: Path, tmp_path: Path) -> Callable[..., Path]:
    """Draw a small ensemble of the random walk; settings of the ensemble, or options of the call."""

    def make(name: str = "e.zarr", *, run: Run = persistence, data: Path = small_dataset, **given: Any) -> Path:
        options = {key: given.pop(key) for key in ("init", "steps", "progress", "overwrite") if key in given}
        config = parse(EnsembleConfig, {"members": 5, "seed": 3, "products": ["mean"], **given})
        options = {"init": ["2024-06-03T10", "2024-06-03T11"], "steps": 5, **options}
        return ensemble(run.path, data, config, output=tmp_path / name, device="cpu", **options).path

    return make


def files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def values(path: Path, name: str = "t2m") -> np.ndarray:
    with xr.open_zarr(path) as forecast:
        found: np.ndarray = forecast[name].values
    return found


@pytest.mark.usefixtures("walk")
def test_a_random_walk_spreads_as_it_must(draw: Callable[..., Path], small_dataset: Path) -> None:
    path = draw(members=40, init=["last"], products=["mean", "spread"])
    dataset = open_dataset(small_dataset)
    std = dataset.statistics.std[dataset.names.index("u10")]
    with xr.open_zarr(path) as forecast:
        assert forecast.u10.dims == ("init_time", "lead_time", "member", "y", "x")
        assert forecast.member.values.tolist() == list(range(40))
        assert forecast.member.attrs["standard_name"] == "realization"
        assert forecast.u10_mean.dims == ("init_time", "lead_time", "y", "x")
        found = np.sqrt((forecast.u10_spread[0].values ** 2).mean(axis=(1, 2)))
    # steps are independent: variances add. 40 members x 480 points: the ratio's error is 1 / sqrt(2 x 39 x 480) = 0.5 %
    np.testing.assert_allclose(found, STEP_STD * std * np.sqrt(np.arange(1, 6)), rtol=0.025)


def test_members_are_the_same_whatever_the_batching(walk: list[int], draw: Callable[..., Path]) -> None:
    whole = files(draw("one.zarr", batch=1, correlation=0.6))
    assert set(walk) == {1}
    assert files(draw("three.zarr", batch=3, correlation=0.6)) == whole
    assert files(draw("all.zarr", correlation=0.6)) == whole
    assert max(walk) == 10  # two initial times x five members at once


@pytest.mark.usefixtures("walk")
def test_a_member_does_not_depend_on_the_others(draw: Callable[..., Path]) -> None:
    many, few = values(draw("many.zarr", members=6)), values(draw("few.zarr", members=2, init=["2024-06-03T11"]))
    assert np.array_equal(many[1:, :, :2], few)
    assert not np.array_equal(many[0, 0, 0], many[0, 0, 1])
    assert not np.array_equal(values(draw("other.zarr", members=6, seed=4)), many)


def test_memory_holds_one_microbatch(
    walk: list[int], draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the members and the hours: rows of one call, leads of one block, one lead of one variable."""
    blocks, reads, write, read = [], [], ForecastWriter.write, ForecastWriter.read

    def writing(self: ForecastWriter, rows: Any, first: int, block: np.ndarray) -> None:
        blocks.append(block.shape[:2])
        write(self, rows, first, block)

    def reading(self: ForecastWriter, *place: Any) -> np.ndarray:
        reads.append(read(self, *place))
        return reads[-1]

    monkeypatch.setattr("weatherml.forecast.rows.BATCH_POINTS", 4 * 24 * 20)
    monkeypatch.setattr("weatherml.forecast.store.SHARD_LEADS", 2)
    monkeypatch.setattr("weatherml.forecast.derive.READ_VALUES", 24 * 20)
    monkeypatch.setattr(ForecastWriter, "write", writing)
    monkeypatch.setattr(ForecastWriter, "read", reading)
    for members, steps in ((3, 4), (13, 9)):
        draw(f"{members}.zarr", members=members, steps=steps)
        assert max(walk) == max(rows for rows, _ in blocks) == 4
        assert max(leads for _, leads in blocks) == 2
        assert {array.shape for array in reads} == {(1, members, 24, 20)}
        reads.clear()


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


KILLS = [  # beside those of tests/faults: 3 microbatches of 3 blocks: the 5th is the second one's second
    (ForecastWriter, "write", 5, True),
    (State, "save", 4, True),
    (ForecastWriter, "complete", 3, True),
    (ForecastWriter, "complete_derived", 5, True),
    pytest.param(ForecastWriter, "write", 1, False, marks=pytest.mark.slow),
    pytest.param(ForecastWriter, "write", 5, False, marks=pytest.mark.slow),
    pytest.param(State, "save", 6, True, marks=pytest.mark.slow),
    pytest.param(ForecastWriter, "complete", 2, False, marks=pytest.mark.slow),
    pytest.param(ForecastWriter, "write_derived", 5, False, marks=pytest.mark.slow),
    pytest.param(ForecastWriter, "finish", 1, False, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("owner", "name", "nth", "after"), KILLS)
def test_a_killed_ensemble_goes_on_and_ends_as_the_same_bytes(
    owner: type,
    name: str,
    nth: int,
    after: bool,
    walk: list[int],
    draw: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("weatherml.forecast.store.SHARD_LEADS", 2)
    settings = {"correlation": 0.5, "batch": 4, "steps": 5}
    whole = files(draw("whole.zarr", **settings))
    in_all, calls, function = len(walk), [], getattr(owner, name)

    def killed(*arguments: Any, **named: Any) -> None:
        calls.append(1)
        dying = len(calls) == nth
        if not dying or after:
            function(*arguments, **named)
        if dying:
            raise Killed

    walk.clear()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            draw("parts.zarr", **settings)
    assert files(draw("parts.zarr", **settings)) == whole
    assert len(walk) <= in_all + 2  # at most one block was stepped twice: members and leads done are not done again


def test_a_signal_stops_after_the_lead_at_hand(walk: list[int], draw: Callable[..., Path]) -> None:
    whole = files(draw("whole.zarr", batch=2))
    walk.clear()

    def tell(done: int, total: int) -> None:
        if done == 14:  # 2 rows x 5 leads, and the second lead of the next two
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="stopped after 2 of 10 forecasts") as stopped:
        draw("parts.zarr", batch=2, progress=tell)
    assert stopped.value.exit_code == 143
    assert len(walk) == 7
    assert files(draw("parts.zarr", batch=2)) == whole


def test_another_request_begins_anew(
    walk: list[int], draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ForecastWriter, "finish", lambda *arguments, **named: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            draw(seed=1)
    walk.clear()
    assert files(draw(seed=2)) == files(draw("fresh.zarr", seed=2))
    assert len(walk) == 10  # 5 leads of all rows at once, twice: nothing of seed 1 was kept


def test_out_of_memory_halves_the_batch(
    walk: list[int], draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files(draw("whole.zarr"))
    step = PersistenceModel.step

    def small(limit: int) -> Callable[..., Any]:
        def limited(self: PersistenceModel, batch: Any, noise: Any = None) -> Any:
            out = step(self, batch, noise)
            if len(batch.history) > limit and len(walk) % 3 == 0:  # not at the first lead
                raise torch.OutOfMemoryError
            return out

        return limited

    monkeypatch.setattr(PersistenceModel, "step", small(2))
    walk.clear()
    assert files(draw("halved.zarr")) == whole
    assert list(dict.fromkeys(walk)) == [10, 5, 2]  # ten rows, halved twice; five twos make the ten
    monkeypatch.setattr(PersistenceModel, "step", small(0))
    with pytest.raises(UnavailableError, match="smaller --tile, or another --device"):
        draw("none.zarr")


@pytest.mark.usefixtures("walk")
def test_products_are_those_of_the_members(draw: Callable[..., Path]) -> None:
    with xr.open_zarr(draw(products=list(PRODUCTS))) as forecast:
        members = torch.from_numpy(forecast.refc[1].values)
        expected = {
            "mean": mean(members),
            "spread": spread(members),
            "probability_30dbz": probability(members, threshold=30.0, side="above"),
            "pmm": probability_matched_mean(members),
        }
        for name, fields in expected.items():
            np.testing.assert_allclose(forecast[f"refc_{name}"][1], fields, rtol=1e-5, atol=1e-6)
        assert forecast.refc_neighbourhood_probability_30dbz.attrs["units"] == "1"
        assert 0 < float(forecast.refc_neighbourhood_probability_30dbz.mean()) < 1
        assert forecast.t2m_spread.attrs["cell_methods"] == "realization: standard_deviation"
        assert forecast.t2m_mean.attrs["units"] == "K"
        assert forecast.t2m_mean.attrs["standard_name"] == "air_temperature"
        assert "standard_name" not in forecast.t2m_pmm.attrs
        assert not any(name.startswith("t2m_probability") for name in forecast)


@pytest.mark.usefixtures("walk")
def test_products_beside_or_instead_of_the_members(draw: Callable[..., Path]) -> None:
    with xr.open_zarr(draw("bare.zarr", products=[])) as bare, xr.open_zarr(draw("both.zarr")) as both:
        assert "t2m_mean" not in bare
        xr.testing.assert_equal(both.t2m, bare.t2m)
        with xr.open_zarr(draw("instead.zarr", keep_members=False)) as instead:
            assert "t2m" not in instead
            assert "member" not in instead.dims
            xr.testing.assert_equal(instead.t2m_mean, both.t2m_mean)
    with pytest.raises(ConfigError, match="nothing is left to write"):
        draw("nothing.zarr", products=[], keep_members=False)


@pytest.mark.usefixtures("walk")
def test_zarr_and_netcdf_hold_the_same(draw: Callable[..., Path]) -> None:
    with xr.open_zarr(draw("e.zarr")) as store, xr.open_dataset(draw("e.nc")) as file:
        assert file.sizes == store.sizes
        for name in ("t2m", "tracer", "refc_mean"):
            np.testing.assert_array_equal(store[name].values, file[name].values)


@pytest.mark.usefixtures("walk")
def test_the_valid_part_of_a_member_is_kept(
    draw: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = PersistenceModel.step, []

    def failing(self: PersistenceModel, batch: Any, noise: Any = None) -> torch.Tensor:
        calls.append(1)
        out = step(self, batch, noise)
        out[3] *= torch.inf if len(calls) == 3 else 1
        return out

    monkeypatch.setattr(PersistenceModel, "step", failing)
    with pytest.raises(WMLError, match=r"1 forecast\(s\) .* 2024-06-03T10:00:00Z member 3 after 2 step"):
        draw("f.zarr")
    with xr.open_zarr(tmp_path / "f.zarr") as forecast:
        assert np.isfinite(forecast.t2m[0, :2]).all()
        assert np.isnan(forecast.t2m[0, 2:, 3]).all()
        assert np.isfinite(forecast.t2m[0, :, [0, 1, 2, 4]]).all()
        assert np.isnan(forecast.t2m_mean[0, 2:]).all()  # a product of all members, or none
        assert np.isfinite(forecast.t2m_mean[0, :2]).all()
        assert np.isfinite(forecast.t2m_mean[1]).all()
        assert forecast.attrs["stopped"] == {"2024-06-03T10:00:00Z member 3": 2}


def test_rollout_is_the_ensemble_without_members(
    walk: list[int], draw: Callable[..., Path], persistence: Run, small_dataset: Path, tmp_path: Path
) -> None:
    one = rollout(
        persistence.path, small_dataset, init=["2024-06-03T10"], steps=5, output=tmp_path / "r.zarr", device="cpu"
    )
    assert np.array_equal(values(one.path)[0], values(draw(seed=0))[0, :, 0])


@pytest.mark.usefixtures("walk")
def test_what_cannot_be_drawn_is_refused(
    draw: Callable[..., Path], learned: Run, persistence: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="unet-residual is deterministic; perturb it"):
        draw(run=learned)
    with pytest.raises(ConfigError, match="takes no sampler"):
        draw(sampler={"kind": "euler"})
    for settings, words in (
        ({"members": 1}, "members: .*greater than or equal to 2, got 1"),
        ({"amplitude": -1.0, "perturb": persistence.path}, "amplitude: .*, got -1"),
        ({"amplitude": 2.0}, "nothing is perturbed"),
        ({"correlation": 1.0}, "correlation: .*less than 1"),
        ({"products": ["means"]}, "no product 'means', did you mean 'mean'"),
    ):
        with pytest.raises(ConfigError, match=words):
            draw(**settings)
    # 10^7 members x 2 times x 5 leads x 480 points x (4 packed variables x 2 + the tracer's 4) bytes = 536 GiB
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**30))
    with pytest.raises(DiskError, match=r"needs 536\.4 GiB, 1\.0 GiB free"):
        draw(members=10_000_000, products=[])


def test_the_disk_that_is_needed(walk: list[int], draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    needed: list[int] = []
    monkeypatch.setattr("weatherml.forecast.rollout.require_free", lambda path, size: needed.append(size))
    draw(products=["mean", "pmm"])
    # 2 times x 5 leads x 480 points x (5 members x (t2m, u10, v10, refc of 2 bytes + tracer of 4) + 10 products of 4)
    assert needed == [2 * 5 * 480 * (5 * (4 * 2 + 4) + 10 * 4)]


@pytest.mark.parametrize("name", GENERATIVE)
def test_every_generative_model_becomes_an_ensemble(
    name: str, small_dataset: Path, tmp_path: Path, draw: Callable[..., Path]
) -> None:
    settings = {
        "model": {"kind": name, **SMALL, **({"wide": (4, 64)} if name == "edm" else {})},
        "data": {"gap": 0.4},
        "train": {"steps": 4, "lr": 0.02, "warmup": 0, "ema": 0, "batch": 2, "precision": "32-true"},
    }
    run = train(parse(Experiment, settings), small_dataset, tmp_path / name, device="cpu")
    sampler = {"sampler": {"steps": 2}} if MODELS[name].sampler else {}
    options: dict[str, Any] = {"run": run, "members": 3, "steps": 2, "init": ["last"], **sampler}
    together, alone = values(draw("a.zarr", **options)), values(draw("b.zarr", batch=1, **options))
    assert np.isfinite(together).all()
    assert together[0, 0].std(axis=0).max() > 0
    # sums of another batch size round differently: a packing step or two, against a spread of many
    assert np.abs(together - alone).max() <= 2 / 64
    if getattr(run.experiment.model, "attention", ()):
        with pytest.raises(ConfigError, match="pools over the whole domain"):
            draw("c.zarr", tile=8, **options)
    else:
        tiled = values(draw("c.zarr", tile=8, **options))
        assert np.abs(together - tiled).max() <= 2 / 64


def test_a_network_that_pools_is_not_cut(learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.norm=group"):
        rollout(learned.path, small_dataset, output=tmp_path / "f.zarr", device="cpu", tile=8)
