from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.sequences.toy import Toy
from weatherml.config import parse
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Shape
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.models.pattern_scaling import month_of, row_areas
from weatherml.run.directory import open_run
from weatherml.run.experiment import resolve
from weatherml.train.trainer import train

MONTHS = np.arange("2015-01", "2031-01", dtype="datetime64[M]")
SHAPE = Shape(
    channels=3,
    targets=2,
    history=2,
    height=4,
    width=6,
    delta_std=(1.0, 1.0),
    periodic_x=True,
    names=("so2", "co2", "ch4"),
)


def build(shape: Shape = SHAPE, **settings: object) -> Model:
    return parse(MODELS["pattern-scaling"], settings).build(shape)


def law(months: np.ndarray) -> Batch:
    """Targets that are lines in CO2, another for each point and calendar month."""
    torch.manual_seed(0)
    history = torch.randn(len(months), 2, 3, 1, 1).expand(-1, -1, -1, 4, 6)
    month = torch.from_numpy(months.astype(int) % 12)
    slope, intercept = torch.rand(12, 2, 4, 6) + 0.5, torch.randn(12, 2, 4, 6)
    target = intercept[month] + slope[month] * history[:, -1, 1:2]
    seconds = months.astype("datetime64[s]").astype(np.int64)
    return Batch(
        history=history,
        forcing=history.new_zeros(len(months), 1, 0, 4, 6),
        static=history.new_zeros(0, 4, 6),
        valid_time=torch.from_numpy(seconds)[:, None],
        target=target[:, None],
        mask=torch.ones(len(months), 1, 2, 4, 6, dtype=torch.bool),
    )


def test_exact_where_the_world_is_lines() -> None:
    batch, model = law(MONTHS), build()
    model.fit(batch)
    torch.testing.assert_close(model(batch), batch.target, rtol=1e-4, atol=1e-4)


def test_equals_numpys_least_squares_with_noise_and_gaps() -> None:
    batch, model = law(MONTHS), build()
    assert batch.target is not None
    assert batch.mask is not None
    batch.target.add_(torch.randn_like(batch.target))
    batch.mask[::5, 0, 0, 1, 2] = False
    batch.target[~batch.mask] = 0
    model.fit(batch)
    may = MONTHS.astype(int) % 12 == 4
    rows = row_areas(SHAPE).numpy().astype(float)
    known = batch.mask[may, 0, 0].numpy()
    target = batch.target[may, 0, 0].numpy().astype(float)
    mean = (target * rows * known).sum((1, 2)) / (rows * known).sum((1, 2))
    x = batch.history[may, -1, 1, 0, 0].numpy()
    b, a = np.polyfit(x, mean, 1)
    there = known[:, 1, 2]
    d, c = np.polyfit(mean[there], target[there, 1, 2], 1)
    np.testing.assert_allclose(model(batch)[may, 0, 0, 1, 2].numpy(), c + d * (a + b * x), rtol=1e-4, atol=1e-4)


def test_a_month_that_training_lacks_takes_the_lines_of_all() -> None:
    years = MONTHS[::12]
    batch, model = law(years), build()
    model.fit(batch)
    torch.testing.assert_close(model.slope[7], model.slope[0])


def test_ridge_with_one_predictor_shrinks_its_slope() -> None:
    batch, plain, shrunk = law(MONTHS), build(), build(ridge=1.0)
    plain.fit(batch)
    shrunk.fit(batch)
    torch.testing.assert_close(shrunk.global_slope, plain.global_slope / 2)  # x'x / (x'x + x'x)


def test_before_it_is_fitted_it_says_the_training_mean() -> None:
    assert torch.equal(build()(law(MONTHS)), torch.zeros(len(MONTHS), 1, 2, 4, 6))


def test_months_of_four_centuries() -> None:
    months = np.arange("1850-01", "2300-01", dtype="datetime64[M]")
    seconds = torch.from_numpy(months.astype("datetime64[s]").astype(np.int64))
    np.testing.assert_array_equal(month_of(seconds).numpy(), months.astype(int) % 12)


def test_rows_weigh_by_area_on_the_globe_alone() -> None:
    torch.testing.assert_close(row_areas(SHAPE)[:, 0], torch.tensor([67.5, 22.5, -22.5, -67.5]).deg2rad().cos())
    flat = Shape(channels=1, height=2, width=2, delta_std=(1.0,))
    assert torch.equal(row_areas(flat), torch.ones(2, 1))


def test_an_unknown_predictor_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.predictors: no input 'co'; did you mean 'co2'"):
        build(predictors=["co"])


def test_a_run_of_it_is_whole(tmp_path: Path) -> None:
    dataset = prepare_sequences(Toy(), [], tmp_path / "toy.zarr")
    experiment = resolve(None, model="pattern-scaling", assignments=["model.predictors=[first, second]"])
    train(experiment, tmp_path / "toy.zarr", tmp_path / "run", device="cpu")
    run = open_run(tmp_path / "run")
    assert run.status()["state"] == "finished"
    assert run.load_model().slope.abs().max() > 0
    assert dataset.length == 3
