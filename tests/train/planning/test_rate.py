from __future__ import annotations

import pytest
import torch

from tests.train.planning.small import make_shape
from weatherml.run.experiment import resolve
from weatherml.train.objective import mean_work
from weatherml.train.planning.plan import Planner
from weatherml.train.planning.rate import mean_flops, measured_rate, stated_rate, training_time
from weatherml.train.planning.step import StepSettings


def test_time_by_hand() -> None:
    experiment = resolve(None, assignments=["train.batch=2", "train.accumulate=4", "train.epochs=3"])
    time = training_time(experiment, 1e12, stated_rate(4), 800)
    assert time.seconds_per_step == 0.25  # 1 TFLOP at 4 TFLOP/s
    assert time.seconds_per_epoch == 25  # 800 cases are 100 steps of 8
    assert (time.steps, time.seconds) == (300, 75)
    assert "4 TFLOP/s" in time.device


def test_a_run_by_the_clock_is_as_long_as_it_says() -> None:
    time = training_time(resolve(None, assignments=["train.minutes=2"]), 1e12, stated_rate(4), 800)
    assert (time.steps, time.seconds) == (480, 120)  # four steps a second


def test_the_mean_step_of_a_growing_forecast() -> None:
    small = ["model.base_features=8", "train.horizon=2"]
    experiment, settings = resolve(None, model="simple-cnn", assignments=small), StepSettings(horizon=2)
    planner = Planner(experiment.model, make_shape(16, 16), loss=experiment.loss)
    first = planner.work(StepSettings())
    assert mean_flops(experiment, planner, settings, planner.work(settings)) == first * mean_work(experiment.train)


def test_the_rate_is_that_of_the_real_step() -> None:
    experiment = resolve(None, model="simple-cnn", assignments=["model.base_features=8", "model.blocks=1"])
    rate = measured_rate(experiment, make_shape(16, 16), StepSettings(batch=8, accumulate=8), torch.device("cpu"))
    assert 1e6 < rate.flops < 1e14
    assert rate.device.startswith("this machine's CPU")
    assert rate.device.endswith(("float32", "bf16"))
    assert stated_rate(2.5).flops == pytest.approx(2.5e12)
