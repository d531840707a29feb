"""Ensembles through `evaluate`: diagrams, bounds, products beside members, few leads at a time, lost files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.errors import BadDataError
from weatherml.verify import evaluate
from weatherml.verify.scoring import case as scoring

Make = Callable[..., Any]
MEMBERS = 4


def run(tmp_path: Path, truth: Path, *forecasts: Path, baselines: Any = (), **options: Any) -> dict[str, Any]:
    found = evaluate(
        forecasts, truth, output=tmp_path / "scores", overwrite=True, resamples=20, baselines=baselines, **options
    )
    scores: dict[str, Any] = json.loads(found.scores.read_text())
    return scores | {"notes": found.notes}


@pytest.fixture
def dataset(inits: np.ndarray, make_forecast: Make) -> xr.Dataset:
    found: xr.Dataset = make_forecast(inits, [1, 2, 3], members=MEMBERS)
    return found


@pytest.fixture
def ensemble(tmp_path: Path, dataset: xr.Dataset) -> Path:
    chunks = {name: {"chunks": (1, 1, 1, 16, 16)} for name in ("refc", "t2m")}
    dataset.to_zarr(tmp_path / "mine.zarr", consolidated=False, encoding=chunks)
    return tmp_path / "mine.zarr"


def test_diagrams_in_json_and_netcdf(tmp_path: Path, truth_path: Path, ensemble: Path) -> None:
    scores = run(tmp_path, truth_path, ensemble, baselines=["persistence"])
    named = {metric for metrics in scores["diagrams"]["persistence"].values() for metric in metrics}
    assert {name.split("_")[0] for name in named} == {"object"}  # persistence has no members
    ranks = scores["diagrams"]["mine"]["t2m"]["rank_histogram"]
    assert ranks["lead_hours"] == [1, 2, 3]
    assert ranks["rank"] == [0, 1, 2, 3, 4]
    assert [sum(row) for row in ranks["frequency"]] == pytest.approx([1, 1, 1])
    brier = scores["diagrams"]["mine"]["refc"]["brier_30dbz"]
    parts = zip(brier["reliability"], brier["resolution"], brier["uncertainty"], strict=True)
    total = scores["forecasts"]["mine"]["refc"]["brier_30dbz"]["value"]
    assert [rel - res + unc for rel, res, unc in parts] == pytest.approx(total)
    with xr.open_dataset(tmp_path / "scores" / "scores.nc", group="diagrams/mine", decode_timedelta=False) as stored:
        assert stored["t2m_rank_histogram_frequency"].dims == ("lead_time", "rank")
        np.testing.assert_allclose(stored["t2m_rank_histogram_frequency"], ranks["frequency"])
        assert stored["refc_roc_auc_30dbz_hit_rate"].sel(probability=0).notnull().all()


def test_the_report_shows_the_ensemble(tmp_path: Path, truth_path: Path, ensemble: Path) -> None:
    run(tmp_path, truth_path, ensemble)
    report = (tmp_path / "scores" / "report.html").read_text()
    for words in (
        "one member", ">mean<", ">spread<", "rank histogram at 1 h", "reliability at 1 h", "ROC at 1 h",
        "Probability of ≥ 30 dBZ", "spread_skill_ratio", "mine 4",
    ):  # fmt: skip
        assert words in report


def test_the_usual_bounds_of_an_ensemble(
    tmp_path: Path, truth_path: Path, ensemble: Path, inits: np.ndarray, make_forecast: Make
) -> None:
    scores = run(tmp_path, truth_path, ensemble, baselines=None)
    assert list(scores["forecasts"]) == ["mine", "persistence", "climatology", "climatological-ensemble"]
    assert scores["metadata"]["members"] == {
        "mine": 4, "persistence": 1, "climatology": 1, "climatological-ensemble": 2,
    }  # fmt: skip
    assert "spread_skill_ratio" in scores["forecasts"]["climatological-ensemble"]["t2m"]
    make_forecast(inits, [1]).to_netcdf(tmp_path / "one.nc")
    assert "climatological-ensemble" not in run(tmp_path, truth_path, tmp_path / "one.nc", baselines=None)["forecasts"]


def test_a_usual_bound_costs_no_case(tmp_path: Path, truth_path: Path, inits: np.ndarray, make_forecast: Make) -> None:
    early = inits - np.timedelta64(24, "h")  # some lie in the training half
    make_forecast(early, [1], members=2).to_netcdf(tmp_path / "early.nc")
    scores = run(tmp_path, truth_path, tmp_path / "early.nc", baselines=None)
    assert scores["metadata"]["init_times"] == 6
    assert any("climatological-ensemble: not to be had for 3 initial times" in note for note in scores["notes"])


def test_ensembles_of_other_sizes_stand_side_by_side(
    tmp_path: Path, truth_path: Path, ensemble: Path, inits: np.ndarray, make_forecast: Make
) -> None:
    make_forecast(inits, [1, 2, 3], members=3).to_zarr(tmp_path / "oracle.zarr", consolidated=False)
    scores = run(tmp_path, truth_path, ensemble, tmp_path / "oracle.zarr")
    assert len(scores["diagrams"]["mine"]["t2m"]["rank_histogram"]["rank"]) == 5
    assert len(scores["diagrams"]["oracle"]["t2m"]["rank_histogram"]["rank"]) == 4


def numbers(tree: Any) -> Iterator[float]:
    """The leaves of nested JSON in order; -9e9 for null."""
    for leaf in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(leaf, dict | list):
            yield from numbers(leaf)
        else:
            yield -9e9 if leaf is None else leaf


def with_products(dataset: xr.Dataset) -> xr.Dataset:
    products = {
        "t2m_mean": dataset["t2m"].mean("member").assign_attrs(units="K"),
        "t2m_spread": dataset["t2m"].std("member"),
        "refc_probability_30dbz": (dataset["refc"] >= 30).mean("member"),
        "refc_pmm": dataset["refc"].mean("member"),
    }
    return dataset.assign(products)


def test_products_beside_members_change_nothing(
    tmp_path: Path, truth_path: Path, dataset: xr.Dataset, ensemble: Path
) -> None:
    plain = run(tmp_path, truth_path, ensemble)
    (tmp_path / "more").mkdir()
    with_products(dataset).to_zarr(tmp_path / "more" / "mine.zarr", consolidated=False)
    rich = run(tmp_path, truth_path, tmp_path / "more" / "mine.zarr")
    assert rich["forecasts"] == plain["forecasts"]
    assert rich["diagrams"] == plain["diagrams"]


def test_products_alone_are_scored_by_their_mean(
    tmp_path: Path, truth_path: Path, dataset: xr.Dataset, ensemble: Path
) -> None:
    whole = run(tmp_path, truth_path, ensemble)["forecasts"]["mine"]["t2m"]
    products = with_products(dataset).drop_vars(["t2m", "refc"])
    products.to_zarr(tmp_path / "products.zarr", consolidated=False)
    scores = run(tmp_path, truth_path, tmp_path / "products.zarr")
    assert list(scores["forecasts"]["products"]) == ["t2m"]
    found = scores["forecasts"]["products"]["t2m"]
    np.testing.assert_allclose(found["rmse"]["value"], whole["rmse"]["value"], rtol=1e-5)
    assert "spread_skill_ratio" not in found
    assert scores["notes"] == ("products: t2m: no members, so the ensemble mean is scored",)
    products.drop_vars("t2m_mean").to_zarr(tmp_path / "rest.zarr", consolidated=False)
    with pytest.raises(BadDataError, match="none of the truth's refc, t2m"):
        run(tmp_path, truth_path, tmp_path / "rest.zarr")


def test_few_leads_at_a_time_score_the_same(
    tmp_path: Path, truth_path: Path, ensemble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path, truth_path, ensemble, baselines=["persistence", "climatology"])
    read: list[int] = []
    original = scoring._tensor

    def spy(values: np.ndarray) -> Any:
        read.append(values.size)
        return original(values)

    monkeypatch.setattr(scoring, "POINTS", 2 * MEMBERS * 16 * 16)  # two leads of three
    monkeypatch.setattr(scoring, "_tensor", spy)
    parts = run(tmp_path, truth_path, ensemble, baselines=["persistence", "climatology"])
    for key in ("forecasts", "diagrams", "cases"):
        assert list(numbers(parts[key])) == pytest.approx(
            list(numbers(whole[key])), rel=1e-6, abs=1e-9
        )  # float32 spectra
    assert max(read) == 2 * MEMBERS * 16 * 16


@pytest.mark.parametrize("harm", ["lose", "empty"])
def test_a_lost_file_of_a_finished_forecast_is_named(
    harm: str, tmp_path: Path, truth_path: Path, ensemble: Path
) -> None:
    (ensemble / "complete.json").write_text("{}")
    run(tmp_path, truth_path, ensemble)
    file = ensemble / "refc" / "c" / "1" / "2" / "3" / "0" / "0"
    file.unlink() if harm == "lose" else file.write_bytes(b"")
    with pytest.raises(BadDataError, match=r"refc at 2024-06-03T08:00:00Z \+ 3 h: its file is lost") as caught:
        run(tmp_path, truth_path, ensemble)
    assert caught.value.exit_code == 65
