"""Blends of forecasts: members side by side, or around one mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from weatherml.config import parse
from weatherml.data.store import open_dataset
from weatherml.errors import BadDataError, ConfigError, StoppedError, UsageError
from weatherml.files import read_json
from weatherml.forecast.blend import forecasts
from weatherml.forecast.blend.cases import Cases
from weatherml.forecast.blend.combine import combined
from weatherml.forecast.blend.config import BlendConfig, blend_path
from weatherml.forecast.blend.fit import Blend
from weatherml.forecast.blend.forecasts import blend_forecasts
from weatherml.forecast.blend.rules import Linear
from weatherml.forecast.blend.spread import Spread, pooled_variance, within
from weatherml.forecast.ensemble import EnsembleConfig
from weatherml.forecast.rollout import rollout
from weatherml.metrics.reduce import ensemble_variance
from weatherml.run.directory import Run, create_run
from weatherml.run.experiment import resolve

INIT = ("2024-06-03T20:00Z", "last")


@pytest.fixture(scope="module")
def still(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another persistence, of the same data."""
    path = tmp_path_factory.mktemp("runs") / "still"
    return create_run(path, resolve(None, model="persistence"), open_dataset(small_dataset)).path


def opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, decode_timedelta=False)


def test_pooled_runs_stand_side_by_side(persistence: Run, learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    where = {"init": INIT, "steps": 3, "device": "cpu"}
    runs = [persistence.path, learned.path]
    made = blend_forecasts(runs, small_dataset, output=tmp_path / "pool.zarr", **where)  # type: ignore[arg-type]
    each = [rollout(run, small_dataset, output=tmp_path / f"{run.name}.zarr", **where) for run in runs]  # type: ignore[arg-type]
    assert made.members == 2
    with opened(made.path) as pool:
        for number, alone in enumerate(each):
            with opened(alone.path) as one:
                np.testing.assert_array_equal(pool.t2m[:, :, number].values, one.t2m.values)
                np.testing.assert_array_equal(pool.init_time.values, one.init_time.values)
        np.testing.assert_allclose(pool.t2m_mean, pool.t2m.mean("member"), rtol=1e-6)
        assert pool.attrs["model"] == "blend (pool)"
        assert pool.attrs["run"] == "persistence + learned"
    assert not list(tmp_path.glob(".*"))  # the runs' own forecasts are gone


def test_deterministic_runs_weighted_make_one_forecast(
    persistence: Run, learned: Run, small_dataset: Path, tmp_path: Path
) -> None:
    config = parse(BlendConfig, {"combine": "weighted", "cases": 3, "blocks": 3})
    runs = [persistence.path, learned.path]
    made = blend_forecasts(
        runs, small_dataset, config, init=INIT, steps=1, output=tmp_path / "blend.zarr", device="cpu"
    )
    assert made.members == 1
    content = read_json(blend_path(made.path))
    rule = content["fitted"]["blends"]["u10"][0]["rule"]
    assert rule["kind"] == "linear"
    assert sum(rule["weights"]) == pytest.approx(1)
    rows = content["scores"]["validation"]["u10"][0]
    assert set(rows) == {"persistence", "learned", "blend"}
    each = [
        rollout(run, small_dataset, init=INIT, steps=1, output=tmp_path / f"{run.name}.zarr", device="cpu")
        for run in runs
    ]
    with opened(made.path) as blend, opened(each[0].path) as one, opened(each[1].path) as other:
        assert blend.u10.dims == ("init_time", "lead_time", "y", "x")
        wanted = rule["weights"][0] * one.u10.values + rule["weights"][1] * other.u10.values
        np.testing.assert_allclose(blend.u10.values, wanted, atol=0.01)  # packed in steps of about 1e-3
    again = blend_forecasts(
        runs, small_dataset, weights=blend_path(made.path), init=INIT, steps=1, output=tmp_path / "again.zarr"
    )
    with opened(again.path) as blend, opened(made.path) as first:
        np.testing.assert_array_equal(blend.u10.values, first.u10.values)
    with pytest.raises(BadDataError, match=r"fitted for 1 lead\(s\), not 2"):
        blend_forecasts(runs, small_dataset, weights=blend_path(made.path), steps=2, output=tmp_path / "no.zarr")


def test_members_keep_their_own_deviation(
    persistence: Run, still: Path, walk: list[int], small_dataset: Path, tmp_path: Path
) -> None:
    config = parse(BlendConfig, {"combine": "weighted", "cases": 3, "blocks": 3})
    made = blend_forecasts(
        [persistence.path, still],
        small_dataset,
        config,
        draw=EnsembleConfig(members=5, products=("mean", "spread")),
        init=["last"],
        steps=2,
        output=tmp_path / "blend.zarr",
        device="cpu",
    )
    assert made.members == 5  # three of the first run and two of the second
    scores = read_json(blend_path(made.path))["scores"]["validation"]["t2m"]
    assert len(scores) == 2
    assert scores[0]["spread_skill"]["before"] < 1  # a tenth of a standard deviation is too little
    assert scores[0]["spread_skill"]["after"] == pytest.approx(1, abs=0.3)
    with opened(made.path) as blend:
        assert blend.t2m.shape[2] == 5
        assert {"t2m_mean", "t2m_spread"} <= set(blend)
        factors = blend.attrs["blend"]["spread"]["t2m"]
        assert min(factors) > 1


def test_a_stopped_blend_goes_on(
    persistence: Run, learned: Run, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"init": INIT, "steps": 2, "device": "cpu"}
    runs = [persistence.path, learned.path]

    def stopped(*arguments: object, **options: object) -> None:
        raise StoppedError("stopped", signal_number=15)

    with monkeypatch.context() as patch:
        patch.setattr(forecasts, "write", stopped)
        with pytest.raises(StoppedError):
            blend_forecasts(runs, small_dataset, output=tmp_path / "blend.zarr", **where)  # type: ignore[arg-type]
    kept = sorted((tmp_path / ".blend.zarr.runs" / "members").glob("*.zarr"))
    assert [path.name for path in kept] == ["0.zarr", "1.zarr"]
    monkeypatch.setattr("weatherml.forecast.blend.members.rollout", stopped)  # nothing is forecast twice
    made = blend_forecasts(runs, small_dataset, output=tmp_path / "blend.zarr", **where)  # type: ignore[arg-type]
    assert made.path.exists()


def test_bad_use(persistence: Run, learned: Run, small_dataset: Path, tmp_path: Path) -> None:
    runs, output = [persistence.path, learned.path], tmp_path / "blend.zarr"
    weighted = parse(BlendConfig, {"combine": "weighted"})
    with pytest.raises(BadDataError, match=r"validation has no \d \+ 48 states in a row to fit a blend on; take fewer"):
        blend_forecasts(runs, small_dataset, weighted, steps=48, output=output)
    with pytest.raises(ConfigError, match="calibration: isotonic is not for forecast; take spread or none"):
        blend_forecasts(runs, small_dataset, parse(BlendConfig, {"calibration": "isotonic"}), output=output)
    with pytest.raises(UsageError, match="there is one run"):
        blend_forecasts(runs[:1], small_dataset, output=output)
    assert not list(tmp_path.iterdir())


def test_too_few_members_for_so_many_runs(
    persistence: Run, still: Path, walk: list[int], small_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--members 3: fewer than 2 for each run that draws"):
        blend_forecasts(
            [persistence.path, still], small_dataset, draw=EnsembleConfig(members=3), output=tmp_path / "no.zarr"
        )


def ensembles(sizes: tuple[int, ...] = (3, 2), leads: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [10 * k + rng.standard_normal((leads, size, 4, 5)) for k, size in enumerate(sizes)]


def test_deviations_are_from_the_own_mean_and_multiplied() -> None:
    fields = ensembles()
    blends = [Blend(rule=Linear(weights=(0.25, 0.75)))] * 2
    made = combined(fields, blends, np.array([1.0, 2.0]), pooled=False)
    centre = 0.25 * fields[0].mean(1) + 0.75 * fields[1].mean(1)
    np.testing.assert_allclose(made.mean(1), centre)
    np.testing.assert_allclose(made[1, 3:], centre[1] + 2 * (fields[1][1] - fields[1][1].mean(0)))
    # a deterministic run moves the centre and brings no member
    alone = combined([fields[0], fields[1][:, :1]], blends, None, pooled=False)
    assert alone.shape == (2, 3, 4, 5)
    assert combined([fields[0][:, :1], fields[1][:, :1]], blends, None, pooled=False).shape == (2, 4, 5)


def test_pooled_deviations_are_from_the_mean_of_all() -> None:
    fields = ensembles()
    blends = [Blend(rule=Linear(weights=(0.6, 0.4)))] * 2
    side_by_side = np.concatenate(fields, axis=1)
    np.testing.assert_array_equal(combined(fields, blends, None, pooled=True), side_by_side)
    doubled = combined(fields, blends, np.array([2.0, 2.0]), pooled=True)
    np.testing.assert_allclose(doubled.mean(1), side_by_side.mean(1))
    np.testing.assert_allclose(doubled.std(1), 2 * side_by_side.std(1))


def test_the_variance_of_the_pool_from_each_runs_own() -> None:
    fields = ensembles()
    means = np.stack([each.mean(1).ravel() for each in fields])
    found = pooled_variance(within(fields).ravel(), means, (3, 2))
    wanted = ensemble_variance(torch.from_numpy(np.concatenate(fields, axis=1)))
    np.testing.assert_allclose(found, wanted.numpy().ravel())


def test_the_factor_makes_spread_equal_error() -> None:
    rng = np.random.default_rng(0)
    n, members = 5000, 4
    truth, drawn = 2 * rng.standard_normal(n), 0.5 * rng.standard_normal((members, n))
    cases = Cases(
        predictions=np.zeros((1, n)), truth=truth, weights=np.ones(n), blocks=np.arange(n) * 5 // n, binary=False
    )
    spread = Spread.of(cases, np.zeros(n), drawn.var(axis=0, ddof=1), members)
    # variance 0.25 * 5/4 against a squared error of 4: the ratio is sqrt(0.3125 / 4) = 0.28
    assert spread.ratio() == pytest.approx(0.28, rel=0.03)
    assert spread.factor() == pytest.approx(1 / 0.28, rel=0.03)
    assert spread.calibrated_ratio() == pytest.approx(1, abs=0.02)
