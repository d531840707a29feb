from __future__ import annotations

import time

import pytest
import torch

from tests.train.planning.small import SMALL, make_shape
from weatherml.fields import Shape
from weatherml.losses import LOSSES
from weatherml.models import MODELS
from weatherml.samplers import SAMPLERS
from weatherml.train.planning.plan import Plan, plan
from weatherml.train.planning.step import StepSettings

SAMPLER = SAMPLERS["dpm-solver++"](steps=16)
CONUS = Shape(channels=7, forcing=7, static=3, height=1059, width=1799, delta_std=(0.5,) * 7)


def make_plan(kind: str, shape: Shape, loss: str = "weather", **settings: object) -> Plan:
    model = MODELS[kind](**SMALL[kind])
    sampler = SAMPLER if MODELS[kind].sampler else None
    return plan(model, shape, loss=LOSSES[loss](), settings=StepSettings.model_validate(settings), sampler=sampler)


def test_flops_by_hand() -> None:
    shape = make_shape(8, 8)
    model = MODELS["simple-cnn"](base_features=8, blocks=1)
    # multiply-adds a point: stem 4 -> 8, two of 8 -> 8, head 8 -> 2, 3 x 3 each
    stem, body, head = (9 * pair for pair in (4 * 8, 2 * 8 * 8, 8 * 2))
    points, cases = 64, 3
    # forward, and backward once for the weights and, save in the stem, once for the input; 2 flops each
    expected = 2 * points * cases * (2 * stem + 3 * body + 3 * head)
    settings = StepSettings(batch=cases)
    assert plan(model, shape, loss=LOSSES["l1"](), settings=settings).flops_per_step == expected
    twice = StepSettings(batch=cases, accumulate=2)
    assert plan(model, shape, loss=LOSSES["l1"](), settings=twice).flops_per_step == 2 * expected


def test_what_costs_memory_and_what_saves_it() -> None:
    shape = make_shape(64, 64)
    base = make_plan("unet-residual", shape, batch=4)
    larger = make_plan("unet-residual", shape, batch=8)
    half = make_plan("unet-residual", shape, batch=4, precision="bf16")
    again = make_plan("unet-residual", shape, batch=4, checkpointing="blocks")
    without = make_plan("unet-residual", shape, batch=4, averages=0)
    summed = make_plan("unet-residual", shape, batch=4, accumulate=16)
    weights = base.parameters * 4
    assert larger.train_peak_bytes > 1.5 * base.train_peak_bytes
    assert half.train_peak_bytes < 0.75 * base.train_peak_bytes
    assert base.inference_peak_bytes < base.train_peak_bytes
    assert again.train_peak_bytes < 0.7 * base.train_peak_bytes
    assert again.flops_per_step > base.flops_per_step
    assert without.train_peak_bytes == base.train_peak_bytes - weights
    assert base.train_peak_bytes < summed.train_peak_bytes <= base.train_peak_bytes + weights


def test_members_of_the_loss_are_cases_of_the_network() -> None:
    shape = make_shape(64, 64)
    two, four = (
        plan(MODELS["crps"](**SMALL["crps"]), shape, loss=LOSSES["crps"](members=members)) for members in (2, 4)
    )
    assert four.flops_per_step == 2 * two.flops_per_step
    assert four.train_peak_bytes > 1.5 * two.train_peak_bytes
    assert four.inference_peak_bytes == two.inference_peak_bytes


@pytest.mark.parametrize("kind", ["ddpm", "edm"])
def test_more_sampler_steps_take_no_more_memory(kind: str) -> None:
    peaks = {
        plan(
            MODELS[kind](**SMALL[kind]), make_shape(), loss=LOSSES["mse"](), sampler=SAMPLERS["heun"](steps=steps)
        ).inference_peak_bytes
        for steps in (4, 40)
    }
    assert len(peaks) == 1


def test_persistence_costs_no_training() -> None:
    planned = make_plan("persistence", make_shape())
    assert (planned.parameters, planned.flops_per_step, planned.train_peak_bytes) == (0, 0, 0)
    assert planned.inference_peak_bytes >= 2 * 2 * 41 * 78 * 4  # the state, and the state again


def test_the_whole_of_conus_in_seconds() -> None:
    start = time.monotonic()
    planned = plan(MODELS["unet-residual"](), CONUS, loss=LOSSES["weather"](), settings=StepSettings(precision="bf16"))
    assert time.monotonic() - start < 60
    assert planned.parameters == 10_488_007
    assert 5e12 < planned.flops_per_step < 7e12
    assert planned.train_peak_bytes < 12 * 2**30
    assert planned.inference_peak_bytes < 2 * 2**30


def test_nothing_is_left_behind() -> None:
    make_plan("unet-residual", make_shape())
    assert type(torch.empty(1)) is torch.Tensor
    assert not torch.is_autocast_enabled("cpu")
