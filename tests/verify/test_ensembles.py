"""Ensembles through `evaluate`: diagrams, bounds, products beside members, few leads at a time, lost files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.verify.conftest import HOUR, INITS, forecast_dataset, write_truth
from weatherml.errors import BadDataError
from weatherml.verify import evaluate
from weatherml.verify.scoring import case as scoring
from weatherml.verify.scoring.inputs import Inputs, Request, open_inputs

MEMBERS = 4
LEADS = [1, 2, 3]


def run(folder: Path, truth: Path, *forecasts: Path, baselines: Any = ()) -> dict[str, Any]:
    found = evaluate(forecasts, truth, output=folder / "scores", resamples=20, baselines=baselines)
    scores: dict[str, Any] = json.loads(found.scores.read_text())
    return scores | {"notes": found.notes}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_truth(tmp_path_factory.mktemp("truth") / "dataset.zarr")


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    return forecast_dataset(INITS, LEADS, members=MEMBERS)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory, dataset: xr.Dataset) -> Path:
    path: Path = tmp_path_factory.mktemp("ensemble") / "mine.zarr"
    chunks = {name: {"chunks": (1, 1, 1, 16, 16)} for name in ("refc", "t2m")}
    dataset.to_zarr(path, consolidated=False, encoding=chunks)
    return path


@pytest.fixture(scope="module")
def scored(truth: Path, ensemble: Path) -> dict[str, Any]:
    """The ensemble's beside the usual baselines', and on disk beside it."""
    return run(ensemble.parent, truth, ensemble, baselines=None)


def test_diagrams_in_json_and_netcdf(scored: dict[str, Any], ensemble: Path) -> None:
    named = {metric for metrics in scored["diagrams"]["persistence"].values() for metric in metrics}
    assert {name.split("_")[0] for name in named} == {"object"}  # persistence has no members
    ranks = scored["diagrams"]["mine"]["t2m"]["rank_histogram"]
    assert ranks["lead_hours"] == [1, 2, 3]
    assert ranks["rank"] == [0, 1, 2, 3, 4]
    assert [sum(row) for row in ranks["frequency"]] == pytest.approx([1, 1, 1])
    brier = scored["diagrams"]["mine"]["refc"]["brier_30dbz"]
    parts = zip(brier["reliability"], brier["resolution"], brier["uncertainty"], strict=True)
    total = scored["forecasts"]["mine"]["refc"]["brier_30dbz"]["value"]
    assert [rel - res + unc for rel, res, unc in parts] == pytest.approx(total)
    file = ensemble.with_name("scores") / "scores.nc"
    with xr.open_dataset(file, group="diagrams/mine", decode_timedelta=False) as stored:
        assert stored["t2m_rank_histogram_frequency"].dims == ("lead_time", "rank")
        np.testing.assert_allclose(stored["t2m_rank_histogram_frequency"], ranks["frequency"])
        assert stored["refc_roc_auc_30dbz_hit_rate"].sel(probability=0).notnull().all()


@pytest.mark.usefixtures("scored")
def test_the_report_shows_the_ensemble(ensemble: Path) -> None:
    report = (ensemble.with_name("scores") / "report.html").read_text()
    for words in (
        "one member", ">mean<", ">spread<", "rank histogram at 1 h", "reliability at 1 h", "ROC at 1 h",
        "Probability of ≥ 30 dBZ", "spread_skill_ratio", "mine 4",
    ):  # fmt: skip
        assert words in report


def test_members_are_scored_together_and_a_climatology_by_its_error(scored: dict[str, Any]) -> None:
    mine, climatology = (scored["forecasts"][name]["t2m"] for name in ("mine", "climatology"))
    assert mine["crps"]["value"][0] < mine["mae"]["value"][0]
    assert mine["spread_skill_ratio"]["value"][0] > 0
    assert "spread_skill_ratio" not in climatology
    assert climatology["crps"]["value"] == pytest.approx(climatology["mae"]["value"])


def opened(truth: Path, forecast: Path) -> Inputs:
    """A forecast beside the usual baselines."""
    return open_inputs(Request(truth=truth, forecasts=(forecast,), baselines=None, regions=()))


def test_the_usual_bounds_of_an_ensemble(tmp_path: Path, truth: Path, scored: dict[str, Any]) -> None:
    assert list(scored["forecasts"]) == ["mine", "persistence", "climatology", "climatological-ensemble"]
    assert scored["metadata"]["members"] == {
        "mine": 4, "persistence": 1, "climatology": 1, "climatological-ensemble": 2,
    }  # fmt: skip
    assert "spread_skill_ratio" in scored["forecasts"]["climatological-ensemble"]["t2m"]
    forecast_dataset(INITS, [1]).to_netcdf(tmp_path / "one.nc")
    assert [each.name for each in opened(truth, tmp_path / "one.nc").baselines] == ["persistence", "climatology"]


def test_a_usual_bound_costs_no_case(tmp_path: Path, truth: Path) -> None:
    early = INITS - 24 * HOUR  # some lie in the training half
    forecast_dataset(early, [1], members=2).to_netcdf(tmp_path / "early.nc")
    cases = opened(truth, tmp_path / "early.nc").cases
    assert len(cases.init_times) == 6
    assert any("climatological-ensemble: not to be had for 3 initial times" in note for note in cases.notes)


def test_ensembles_of_other_sizes_stand_side_by_side(tmp_path: Path, truth: Path, ensemble: Path) -> None:
    forecast_dataset(INITS, LEADS, members=3, names=["t2m"]).to_zarr(tmp_path / "oracle.zarr", consolidated=False)
    scores = run(tmp_path, truth, ensemble, tmp_path / "oracle.zarr")
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
    tmp_path: Path, truth: Path, dataset: xr.Dataset, scored: dict[str, Any]
) -> None:
    with_products(dataset).to_zarr(tmp_path / "mine.zarr", consolidated=False)
    rich = run(tmp_path, truth, tmp_path / "mine.zarr")
    assert rich["forecasts"]["mine"] == scored["forecasts"]["mine"]
    assert rich["diagrams"]["mine"] == scored["diagrams"]["mine"]


def test_products_alone_are_scored_by_their_mean(
    tmp_path: Path, truth: Path, dataset: xr.Dataset, scored: dict[str, Any]
) -> None:
    products = with_products(dataset).drop_vars(["t2m", "refc"])
    products.to_zarr(tmp_path / "products.zarr", consolidated=False)
    scores = run(tmp_path, truth, tmp_path / "products.zarr")
    assert list(scores["forecasts"]["products"]) == ["t2m"]
    found, whole = scores["forecasts"]["products"]["t2m"], scored["forecasts"]["mine"]["t2m"]
    np.testing.assert_allclose(found["rmse"]["value"], whole["rmse"]["value"], rtol=1e-5)
    assert "spread_skill_ratio" not in found
    assert scores["notes"] == ("products: t2m: no members, so the ensemble mean is scored",)
    products.drop_vars("t2m_mean").to_zarr(tmp_path / "rest.zarr", consolidated=False)
    with pytest.raises(BadDataError, match="none of the truth's refc, t2m"):
        opened(truth, tmp_path / "rest.zarr")


def test_few_leads_at_a_time_score_the_same(
    tmp_path: Path, truth: Path, ensemble: Path, scored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = scoring._tensor

    def spy(values: np.ndarray) -> Any:
        read.append(values.size)
        return original(values)

    monkeypatch.setattr(scoring, "POINTS", 2 * MEMBERS * 16 * 16)  # two leads of three
    monkeypatch.setattr(scoring, "_tensor", spy)
    parts = run(tmp_path, truth, ensemble)
    assert parts["cases"] == scored["cases"]
    for key in ("forecasts", "diagrams"):
        found, whole = (list(numbers(scores[key]["mine"])) for scores in (parts, scored))
        assert found == pytest.approx(whole, rel=1e-6, abs=1e-9)  # float32 spectra
    assert max(read) == 2 * MEMBERS * 16 * 16


def test_a_lost_file_of_a_finished_forecast_is_named(tmp_path: Path, truth: Path, ensemble: Path) -> None:
    mine = shutil.copytree(ensemble, tmp_path / "mine.zarr")
    (mine / "complete.json").write_text("{}")
    file = mine / "refc" / "c" / "1" / "2" / "3" / "0" / "0"
    for harm in (lambda: file.write_bytes(b""), file.unlink):
        harm()
        with pytest.raises(BadDataError, match=r"refc at 2024-06-03T08:00:00Z \+ 3 h: its file is lost") as caught:
            run(tmp_path, truth, mine)
        assert caught.value.exit_code == 65
