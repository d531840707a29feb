"""A few numbers of each time: those of the values in the store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.data.preparing import run
from weatherml.data.layout import consolidate
from weatherml.data.packing import FILL, Packing, unpack
from weatherml.data.shards import Encoded
from weatherml.data.statistics import Moments, Statistics
from weatherml.data.store import MARKER, open_dataset, write_marker
from weatherml.data.tally import Levels, Tally
from weatherml.errors import BadDataError, MissingInputError
from weatherml.variables import TABLE, Variable

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-06-01T00:00:00", "s")
RAIN = Variable(name="rain", units="mm", thresholds=(1.0, 2.5))
QUARTERS = Packing(scale_factor=0.25, add_offset=1.0)


def packed(*numbers: int) -> np.ndarray:
    return np.array([numbers], dtype=np.int16)


def test_golden_row() -> None:
    # 0.25 n + 1: 0, 1, 1, 3 and a missing one; one of five is missing; mean 5 / 4; squares of deviations
    # 1.25^2 + 2 * 0.25^2 + 1.75^2 = 4.75; 3 of 4 known points reach 1 mm (the threshold counts), 1 reaches 2.5 mm
    field = packed(-4, 0, 0, 8, FILL)
    row = Levels(RAIN, QUARTERS).row(Encoded.of(field, None), field, None)
    assert row.values == (0.0, 3.0, 1.25, pytest.approx(0.2))
    assert row.moments.state == Moments(count=4, mean=1.25, m2=4.75, min=0, max=3, zeros=1)
    assert row.moments.delta == Moments()
    assert row.activity == (0.75, 0.25)


def test_golden_change() -> None:
    # known at both times: 0 -> 1, 1 -> 1, 3 -> 2; changes 1, 0, -1
    field = packed(0, 0, FILL, 4, 4)
    row = Levels(RAIN, QUARTERS).row(Encoded.of(field, None), field, packed(-4, 0, 0, 8, FILL))
    assert row.moments.delta == Moments(count=3, mean=0, m2=2, min=-1, max=1, zeros=1)


def test_events_on_the_other_side() -> None:
    cin = TABLE["cin"].model_copy(update={"packing_step": None})
    field = packed(-200, 50, 51, 100)
    row = Levels(cin, Packing(scale_factor=0.5, add_offset=-50.0)).row(Encoded.of(field, None), field, None)
    assert row.values[:2] == (-150.0, 0.0)  # -150, -25, -24.5, 0: at or under -100 is one, at or under -25 two
    assert row.activity == (0.25, 0.5)


@pytest.mark.parametrize("name", list(TABLE))
def test_rows_are_those_of_the_values_taken_one_by_one(name: str) -> None:
    variable, rng = TABLE[name], np.random.default_rng(0)
    packing = Packing(scale_factor=variable.packing_step or 1.0, add_offset=variable.add_offset)
    before, after = rng.integers(-3000, 3000, (2, 40, 30)).astype(np.int16)
    after[3, :5], before[7, 2] = FILL, FILL
    levels = Levels(variable, packing)
    row = levels.row(Encoded.of(after, None), after, before)
    then, now = (levels.transformed[field.view(np.uint16)] for field in (before, after))
    for found, values in ((row.moments.state, now), (row.moments.delta, now - then)):
        direct = Moments.of(values)
        assert (found.count, found.min, found.max, found.zeros) == (
            direct.count,
            direct.min,
            direct.max,
            direct.zeros,
        )
        assert found.mean == pytest.approx(direct.mean, rel=1e-12, abs=1e-12)
        assert found.m2 == pytest.approx(direct.m2, rel=1e-10)
    physical = unpack(after, packing)
    assert row.values == pytest.approx((np.nanmin(physical), np.nanmax(physical), np.nanmean(physical), 5 / 1200))


def test_no_change_over_a_gap_and_repeated_fields_are_found() -> None:
    tally = Tally((RAIN,), (QUARTERS,), HOUR)
    field = packed(1, 2, 3)
    counts, findings = [], []
    for hours, values in ((0, field), (1, field), (3, field), (4, packed(5, 5, 5)), (5, packed(5, 5, 5))):
        (row,), found = tally.add(START + hours * HOUR, {"rain": Encoded.of(values, None)})
        counts.append(row.moments.delta.count)
        findings.append([each["finding"] for each in found])
    assert counts == [0, 3, 0, 3, 3]
    assert findings == [[], ["repeated"], ["repeated"], [], []]  # a field of one value may well stay


def test_summary_of_a_dataset(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    summary = dataset.summary
    with xr.open_zarr(small_dataset) as store:
        for c, name in enumerate(dataset.names):
            values = store[name].values.astype(np.float64)
            assert np.array_equal(summary.minimum[:, c], values.min((1, 2)).astype(np.float32))
            assert np.array_equal(summary.maximum[:, c], values.max((1, 2)).astype(np.float32))
            assert np.allclose(summary.mean[:, c], values.mean((1, 2)), rtol=1e-6, atol=1e-7)
            assert (summary.missing[:, c] == 0).all()
        for threshold in TABLE["refc"].thresholds:
            share = (store.refc.values >= threshold).mean((1, 2))
            assert np.allclose(summary.activity("refc", threshold), share, rtol=1e-6)
    assert np.array_equal(summary.times, dataset.times)
    with pytest.raises(BadDataError, match="refc 35: no activity of it was kept; choose of refc 20, refc 30"):
        summary.activity("refc", 35.0)


def test_statistics_of_a_split_are_the_sum_of_its_rows(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    again = Statistics.of(dataset.summary.moments[dataset.part("train")])
    assert again.settings() == dataset.statistics.settings()


def test_the_change_into_a_run_of_times_is_not_its_own(small_dataset: Path) -> None:
    dataset = open_dataset(small_dataset)
    part = dataset.part("validation")
    found = Statistics.of(dataset.summary.moments[part])
    for c, (name, packing) in enumerate(zip(dataset.names, dataset.packings, strict=True)):
        if name == "refc":
            continue  # clipped
        values = unpack(dataset.read(slice(part[0], part[-1] + 1), name), packing).astype(np.float64)
        assert found.delta_std[c] == pytest.approx(np.diff(values, axis=0).std(), rel=1e-6)
        assert found.std[c] == pytest.approx(values.std(), rel=1e-6)


def test_channels_bind_by_name(small_dataset: Path) -> None:
    whole = open_dataset(small_dataset)
    two = whole.select(["refc", "t2m"])
    assert np.array_equal(two.summary.mean, whole.summary.mean[:, [3, 0]])
    assert np.array_equal(two.summary.activity("refc", 20.0), whole.summary.activity("refc", 20.0))
    with pytest.raises(BadDataError, match="choose of none"):
        whole.select(["t2m"]).summary.activity("refc", 20.0)


def test_a_damaged_summary_is_named_by_array_and_time(small_dataset: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(small_dataset, tmp_path / "d.zarr"))
    (store / "summary" / "values" / "c" / "1" / "0" / "0").unlink()
    with pytest.raises(BadDataError, match=r"summary/values at 2024-06-02T00:00:00Z: .*missing or empty"):
        _ = open_dataset(store).summary


def test_a_dataset_of_an_earlier_version_has_none(small_dataset: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(small_dataset, tmp_path / "d.zarr"))
    shutil.rmtree(store / "summary")
    (store / MARKER).unlink()
    consolidate(store)
    write_marker(store, "dataset")
    dataset = open_dataset(store)
    assert len(dataset.read(3, "t2m")) == 1
    with pytest.raises(MissingInputError, match="has no summary, an earlier version made it; prepare it again"):
        _ = dataset.summary


def test_variables_without_thresholds(tmp_path: Path, write_netcdf: Any) -> None:
    dataset = run(write_netcdf(tmp_path / "a.nc", hours=30), tmp_path / "a.zarr", variables={"t2m": {}})
    assert dataset.summary.mean.shape == (30, 1)
    assert dataset.summary.shares == {}
