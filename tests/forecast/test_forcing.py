"""Forecasts under external forcing: from analyses or from an earlier forecast, never from what came later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from tests.conftest import START
from tests.large_scale import HOURS, large_scale, on_grid
from weatherml.config import parse
from weatherml.data.external import Analyses, with_forcing
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import BadDataError, MissingInputError
from weatherml.fields import Batch, Fields, Noise
from weatherml.files import remove
from weatherml.forecast.ensemble import EnsembleConfig, ensemble
from weatherml.forecast.forcing import open_forecasts, open_record
from weatherml.forecast.initial import initial_indices
from weatherml.forecast.rollout import rollout
from weatherml.forecast.store import ForecastWriter
from weatherml.models.persistence import PersistenceModel
from weatherml.run.directory import Run, create_run, open_run
from weatherml.run.experiment import Experiment
from weatherml.run.lineage import Lineage
from weatherml.run.transfer import start_from
from weatherml.train.trainer import train

HOUR = np.timedelta64(1, "h")
ROUNDING = 0.02


def at(*hours: float) -> np.ndarray:
    return START + (np.asarray(hours) * 3600).astype("timedelta64[s]")


def experiment(forcing: Path | None, kind: str = "persistence", **settings: Any) -> Experiment:
    model = {"kind": kind} | ({} if kind == "persistence" else {"base_features": 8, "depth": 1, "blocks": 1})
    data = {"data": {"forcing": str(forcing)}} if forcing else {}
    return parse(Experiment, {"model": model, "loss": "l1", **data, **settings})


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plane of hours 0 to 72, every 3."""
    return large_scale(tmp_path_factory.mktemp("forcing"))


@pytest.fixture(scope="module")
def run(small_dataset: Path, analyses: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Persistence that takes forcing, and has no use for it."""
    return train(experiment(analyses), small_dataset, tmp_path_factory.mktemp("runs") / "forced", device="cpu")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What stands in the last place of the forcing at each step, (B, H, W) normalised."""
    steps: list[np.ndarray] = []
    step = PersistenceModel.step

    def watched(self: PersistenceModel, batch: Batch, noise: Noise | None = None) -> Fields:
        steps.append(batch.forcing[:, 0, -1].numpy())
        return step(self, batch, noise)

    monkeypatch.setattr(PersistenceModel, "step", watched)
    return steps


def metres(run: Run, seen: list[np.ndarray]) -> np.ndarray:
    """(steps, B, H, W) in metres, by the statistics that the run was trained with."""
    external = run.forecast_lineage.external
    assert external is not None
    return np.stack(seen) * external.statistics.std[0] + external.statistics.mean[0]


def write_forecasts(path: Path, dataset: Dataset, inits: tuple[int, ...]) -> Path:
    """Forecasts of the plane, 24 hours in steps of 3; that from hour h is 100 h metres too high."""
    writer = ForecastWriter(path, {})
    attributes = {"grid_kind": dataset.grid.kind, "variables": dataset.names}
    writer.create(dataset, at(*inits), 8, attributes)
    for row, init in enumerate(inits):
        values = on_grid(init + 3 * np.arange(1, 9), dataset.grid) + 100.0 * init
        writer.write([row], 0, values[None, :, None].astype(np.float32))
    writer.complete(range(len(inits)), {})
    writer.finish()
    return path


@pytest.fixture(scope="module")
def forecasts(analyses: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From hours 0, 12 and 24, each 24 hours long."""
    return write_forecasts(tmp_path_factory.mktemp("forecasts") / "f.zarr", open_dataset(analyses), (0, 12, 24))


def test_a_run_remembers_its_forcing(run: Run, analyses: Path, small_dataset: Path) -> None:
    lineage = open_run(run.path).forecast_lineage
    forcing = open_dataset(analyses)
    assert lineage.forcing[-1] == "z500"
    assert lineage.model_shape(run.experiment).forcing == 4
    assert lineage.external is not None
    assert lineage.external.dataset == str(analyses)
    assert lineage.external.variables == forcing.variables
    assert lineage.external.statistics.settings() == forcing.statistics.settings()
    assert "external" not in Lineage.of(open_dataset(small_dataset)).settings()


def test_a_rollout_takes_the_analyses_at_its_valid_times(
    run: Run, small_dataset: Path, tmp_path: Path, seen: list[np.ndarray]
) -> None:
    init = ["2024-06-01T07", "2024-06-02T12"]  # hours 7 and 36
    made = rollout(run.path, small_dataset, init=init, steps=4, output=tmp_path / "f.zarr", device="cpu")
    golden = on_grid(np.array([8, 37, 9, 38, 10, 39, 11, 40]), open_dataset(small_dataset).grid)
    np.testing.assert_allclose(metres(run, seen), golden.reshape(4, 2, 24, 20), atol=ROUNDING)
    with xr.open_zarr(made.path) as forecast:
        assert forecast.attrs["forcing"] == "large.zarr"


def test_a_forecast_is_taken_from_the_latest_that_had_begun(
    run: Run, small_dataset: Path, forecasts: Path, tmp_path: Path, seen: list[np.ndarray]
) -> None:
    where: dict[str, Any] = {"forcing": forecasts, "output": tmp_path / "f.zarr", "device": "cpu"}
    rollout(run.path, small_dataset, init=["2024-06-01T13", "2024-06-02T02"], steps=12, **where)
    off = metres(run, seen)[..., 0, 0] - on_grid(np.arange(14, 26), open_dataset(small_dataset).grid)[:, :1, 0]
    # from hour 13: the forecast from 12 holds hours 15 to 36, that from 0 hour 14
    np.testing.assert_allclose(off[:, 0], [0.0] + 11 * [1200.0], atol=0.2)
    # from hour 26 (13 later): the forecast from 24 holds 27 to 48
    np.testing.assert_allclose(off[:, 1] - 2 * 13, 12 * [2400.0], atol=0.2)


def test_what_began_later_is_not_looked_at(forecasts: Path) -> None:
    record = open_forecasts(forecasts)
    assert record.units == {"z500": "m"}
    # place 8 n + l is lead l, 3 (l + 1) hours, of forecast n, from hours 0, 12 and 24
    hours, inits = [3, 4.5, 15, 26, 30, 30, 30, 14], [0, 0, 24, 12, 23, 24, 40, 12]
    found = record.between(at(*hours), at(*inits))
    assert found.before.tolist() == [0, 0, 8, 11, 13, 17, 17, 3]  # 26 h is 14 of that from 12, between leads 12 and 15
    assert found.weight.tolist() == pytest.approx([0, 0.5, 0, 2 / 3, 0, 0, 0, 2 / 3])
    assert record.between(at(3, 1, 25, 49), at(-1, 0, 0, 47)).before.tolist() == [-1, -1, -1, -1]


def test_hours_out_of_cover_are_named_before_any_work(
    run: Run, small_dataset: Path, forecasts: Path, tmp_path: Path, seen: list[np.ndarray]
) -> None:
    where: dict[str, Any] = {"output": tmp_path / "f.zarr", "device": "cpu"}
    with pytest.raises(
        BadDataError, match=r"large.zarr: no forcing for 2024-06-04T01:00:00Z, hour 2 of .* last time is"
    ):
        rollout(run.path, small_dataset, init=["last"], steps=3, **where)
    with pytest.raises(BadDataError, match=r"f.zarr: no forcing for .*03T01:00:00Z, hour 18 .*hold hours 3 to 24;"):
        rollout(run.path, small_dataset, init=["2024-06-02T07"], steps=30, forcing=forecasts, **where)
    assert not seen
    assert not (tmp_path / "f.zarr").exists()


def test_of_the_test_part_only_covered_times_are_taken(run: Run, small_dataset: Path, analyses: Path) -> None:
    dataset = run.forecast_lineage.matched(open_dataset(small_dataset))
    hours = (dataset.times - START) / HOUR
    assert hours[initial_indices(dataset, ["test"], history=1, steps=1)].max() == 70  # has a truth, hour 71
    for wanted in ([], ["test"]):
        assert hours[initial_indices(dataset, wanted, history=1, steps=8)].max() == 64  # 72, the last time, less 8
    assert (hours[initial_indices(dataset, ["last"], history=1, steps=1)] == 71).all()
    with pytest.raises(BadDataError, match="no forcing for"):
        initial_indices(dataset, ["test"], history=1, steps=72)
    assert open_record(None) is None
    assert isinstance(open_record(analyses), Analyses)


def test_members_share_their_forcing(run: Run, small_dataset: Path, forecasts: Path, tmp_path: Path, walk: Any) -> None:
    config = EnsembleConfig(members=3, products=("mean",))
    made = ensemble(
        run.path,
        small_dataset,
        config,
        forcing=forecasts,
        init=["2024-06-01T12"],
        steps=3,
        output=tmp_path / "e.zarr",
        device="cpu",
    )
    assert made.members == 3
    assert walk == [3, 3, 3]
    # a run that perturbs forecasts the initial time itself, which no forecast from hour 1 or before holds
    with pytest.raises(BadDataError, match=r"forcing for .*T02:00:00Z, hour 1 of the forecast from .*T01:00:00Z"):
        ensemble(
            run.path,
            small_dataset,
            EnsembleConfig(members=2, perturb=run.path),
            forcing=forecasts,
            init=["2024-06-01T02"],
            steps=1,
            output=tmp_path / "p.zarr",
            device="cpu",
        )


def test_forcing_that_does_not_suit_the_run_is_refused(
    run: Run, persistence: Run, small_dataset: Path, forecasts: Path, tmp_path: Path
) -> None:
    where: dict[str, Any] = {"init": ["2024-06-01T12"], "steps": 1, "output": tmp_path / "f.zarr", "device": "cpu"}
    with pytest.raises(BadDataError, match=r"f.zarr: the run was trained without external forcing; leave it out"):
        rollout(persistence.path, small_dataset, forcing=forecasts, **where)
    other = large_scale(tmp_path / "other", HOURS, names=("t850",))
    with pytest.raises(BadDataError, match=r"large.zarr: has no 'z500', which the run takes as forcing"):
        rollout(run.path, small_dataset, forcing=other, **where)
    moved = large_scale(tmp_path / "moved")
    small = train(experiment(moved), small_dataset, tmp_path / "run", device="cpu")
    remove(moved)
    with pytest.raises(MissingInputError, match="the forcing that the run was trained with is not there; name one"):
        rollout(small.path, small_dataset, **where)
    rollout(small.path, small_dataset, forcing=forecasts, **where)


def test_more_variables_in_another_order_are_bound_by_name(run: Run, small_dataset: Path, tmp_path: Path) -> None:
    more = large_scale(tmp_path, names=("t850", "z500"))
    dataset = run.forecast_lineage.matched(open_dataset(small_dataset), Analyses(open_dataset(more)))
    assert Lineage.of(dataset).forcing == run.forecast_lineage.forcing


def test_a_broken_forecast_is_named(analyses: Path, tmp_path: Path) -> None:
    record = open_forecasts(write_forecasts(tmp_path / "f.zarr", open_dataset(analyses), (0, 12)))
    assert np.isfinite(record.read("z500", 9)).all()
    (file,) = [each for each in (tmp_path / "f.zarr" / "z500" / "c" / "1").rglob("*") if each.is_file()]
    file.write_bytes(file.read_bytes()[:100] + bytes(400))
    with pytest.raises(BadDataError, match=r"z500 at hour 6 of the forecast from 2024-06-01T12:00:00Z: damaged"):
        open_forecasts(tmp_path / "f.zarr").read("z500", 9)
    file.unlink()
    with pytest.raises(BadDataError, match=r"hour 6 of the forecast from 2024-06-01T12:00:00Z: missing throughout"):
        record.read("z500", 9)


def test_a_start_without_forcing_gives_the_same_forecast(small_dataset: Path, analyses: Path, tmp_path: Path) -> None:
    dataset, settings = open_dataset(small_dataset), {"train": {"steps": 2, "batch": 2, "precision": "32-true"}}
    other = train(experiment(None, "unet-residual", **settings), small_dataset, tmp_path / "other", device="cpu")
    forced = create_run(tmp_path / "run", experiment(analyses, "unet-residual"), with_forcing(dataset, analyses))
    model = forced.build_model().eval()
    found = start_from(model, forced, other)
    assert found.partly
    assert not found.new
    draw = torch.Generator().manual_seed(0)
    shape = forced.lineage.model_shape(forced.experiment)
    fields = {"history": torch.randn(1, 1, 5, 16, 16, generator=draw), "static": torch.zeros(shape.static, 16, 16)}
    known = torch.randn(1, 1, 4, 16, 16, generator=draw)
    time = torch.zeros(1, 1, dtype=torch.int64)
    with torch.no_grad():
        ours = model(Batch(**fields, forcing=known, valid_time=time))
        theirs = other.load_model()(Batch(**fields, forcing=known[:, :, :3], valid_time=time))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_an_unfinished_forecast_goes_on_under_the_same_forcing_alone(
    run: Run, small_dataset: Path, forecasts: Path, tmp_path: Path, seen: list[np.ndarray]
) -> None:
    def killed(self: ForecastWriter, **_: bool) -> None:
        raise KeyboardInterrupt

    where: dict[str, Any] = {"init": ["2024-06-01T12"], "steps": 3, "output": tmp_path / "f.zarr", "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForecastWriter, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            rollout(run.path, small_dataset, **where)
    assert len(seen) == 3
    rollout(run.path, small_dataset, forcing=forecasts, **where)
    assert len(seen) == 6  # anew
