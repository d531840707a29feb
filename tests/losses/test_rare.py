"""Losses of rare events: the family's rules on logits, then golden numbers with their arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.losses.test_losses import make_loss, make_weights
from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule
from weatherml.losses.rare import dice_loss

MEMBERS = sorted(name for name in LOSSES if LOSSES[name].logits)
POINT = make_weights((1.0,), rows=(1.0,))


def make_fields(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 2, 4, 5, generator=draw, dtype=dtype)
    target = (torch.rand(2, 1, 2, 4, 5, generator=draw) < 0.3).to(dtype)
    return logits, target, torch.rand(2, 1, 2, 4, 5, generator=draw) > 0.3


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1, 1)


def build(name: str, **settings: object) -> LossModule:
    return parse(LOSSES[name], settings).build(make_weights((1.0, 1.0)))


def sigmoid_focal_loss(inputs: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """torchvision.ops.sigmoid_focal_loss, written out."""
    p = torch.sigmoid(inputs)
    ce_loss = functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce_loss * ((1 - p_t) ** gamma)
    return (alpha * targets + (1 - alpha) * (1 - targets)) * loss


def test_the_founding_defaults() -> None:
    assert LOSSES["focal"]().settings() == {"kind": "focal", "alpha": 0.25, "gamma": 2.0, "reduction": "mean"}
    assert LOSSES["binary-focal"]().settings() == {
        "kind": "binary-focal",
        "alpha": 0.75,
        "gamma": 2.0,
        "reduction": "mean",
    }
    combined = LOSSES["combined"]().settings()
    assert {name: combined[name] for name in ("focal", "dice")} == {"focal": 0.7, "dice": 0.3}


@pytest.mark.parametrize("name", MEMBERS)
def test_the_truth_costs_nothing_and_its_opposite_much(name: str) -> None:
    _, target, mask = make_fields()
    certain = 100 * (2 * target - 1)
    assert make_loss(name)(certain, target, mask) == 0
    assert make_loss(name)(-certain, target, mask) > 10


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("logit", [-100.0, 0.0, 100.0])
def test_stable_where_the_logit_is_100(name: str, gamma: float, logit: float) -> None:
    logits = column(logit, logit).requires_grad_()
    loss = parse(LOSSES[name], {"gamma": gamma}).build(POINT)(logits, column(0.0, 1.0), torch.ones(2, 1, 1, 1, 1) > 0)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    if logit == -100:
        assert logits.grad[1] < 0  # a certain miss is not beyond learning


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", [99.0, math.nan, math.inf])
def test_what_is_masked_changes_nothing(name: str, value: float) -> None:
    logits, target, mask = make_fields()
    loss = make_loss(name)
    wild = torch.where(mask, logits, value).requires_grad_()
    (gradient,) = torch.autograd.grad(got := loss(wild, torch.where(mask, target, -value), mask), wild)
    assert torch.equal(got, loss(logits, target, mask))
    assert torch.all(gradient[~mask] == 0)
    assert loss(logits, target, torch.zeros_like(mask)) == 0


@pytest.mark.parametrize("name", MEMBERS)
def test_a_variable_or_row_of_weight_zero_does_not_count(name: str) -> None:
    logits, target, mask = make_fields()
    loss, alone = make_loss(name, make_weights(variable=(2.0, 0.0))), make_loss(name, make_weights((0.5,)))
    torch.testing.assert_close(loss(logits, target, mask), alone(*(x[:, :, :1] for x in (logits, target, mask))))
    loss, other = make_loss(name, make_weights(rows=(0.0, 1.0, 2.0, 1.0))), logits.clone()
    other[..., 0, :] += 5
    assert torch.equal(loss(logits, target, mask), loss(other, target, mask))


@pytest.mark.parametrize("name", MEMBERS)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    logits, target, mask = make_fields(torch.float64)
    loss = make_loss(name).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, mask), logits.requires_grad_())


@pytest.mark.parametrize("name", MEMBERS)
def test_float32_under_autocast(name: str) -> None:
    logits, target, mask = make_fields()
    logits = logits.bfloat16().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = make_loss(name)(logits.bfloat16(), target, mask)
    assert got.dtype == torch.float32
    assert torch.equal(got, make_loss(name)(logits, target, mask))


@pytest.mark.parametrize("name", ["focal", "binary-focal"])
def test_cross_entropy_at_gamma_0(name: str) -> None:
    logits, target, mask = make_fields()
    expected = functional.binary_cross_entropy_with_logits(logits[mask], target[mask])
    torch.testing.assert_close(build(name, alpha=None, gamma=0)(logits, target, mask), expected)
    torch.testing.assert_close(2 * build(name, alpha=0.5, gamma=0)(logits, target, mask), expected)
    torch.testing.assert_close(
        build(name, alpha=None, gamma=0, reduction="sum")(logits, target, mask), expected * mask.sum()
    )


@pytest.mark.parametrize("name", ["focal", "binary-focal"])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 2.0), (0.1, 0.5), (1.0, 5.0)])
def test_torchvisions_formula(name: str, alpha: float, gamma: float) -> None:
    logits, target, mask = make_fields(torch.float64)
    loss = build(name, alpha=alpha, gamma=gamma).double()
    expected = sigmoid_focal_loss(logits, target, alpha, gamma)[mask].mean()
    torch.testing.assert_close(loss(logits, target, mask), expected, rtol=1e-12, atol=0)


def test_focal_by_hand() -> None:
    loss = LOSSES["focal"]().build(POINT)
    # p = 1/2 at logit 0: 0.25 x (1/2)² x ln 2 = 0.04332 where there is an event, 0.75 x (1/2)² x ln 2 = 0.12996 else
    assert loss(column(0.0), column(1.0), column(1.0) > 0) == pytest.approx(0.04332, abs=1e-5)
    assert loss(column(0.0), column(0.0), column(1.0) > 0) == pytest.approx(0.12996, abs=1e-5)


def test_dice_by_hand() -> None:
    p, q, weight = column(1.0, 0.5, 0.0), column(1.0, 0.0, 1.0), column(1.0, 2.0, 1.0)
    # overlap 1; 1 + 2 x 0.25 + 0 of p², 1 + 0 + 1 of q²: 1 - (2 + 1) / (3.5 + 1) = 1/3
    assert dice_loss(p, q, weight, variable=torch.ones(1, 1, 1), smooth=1.0) == pytest.approx(1 / 3)


def test_combined_is_the_weighted_sum() -> None:
    logits, target, mask = make_fields()
    parts = [build("combined", focal=focal, dice=1 - focal)(logits, target, mask) for focal in (0, 1)]
    torch.testing.assert_close(build("combined")(logits, target, mask), 0.3 * parts[0] + 0.7 * parts[1])
    torch.testing.assert_close(parts[1], make_loss("focal")(logits, target, mask))


def test_exceedance_by_hand() -> None:
    loss = parse(LOSSES["exceedance"], {"thresholds": [1.0], "alpha": None, "dice": 0, "focal": 1}).build(POINT)
    # logits 1 - 1 = 0 and 101 - 1 = 100: p = 1/2, q = 1: (1/2)² x ln 2 = 0.17329
    assert loss(column(1.0), column(101.0), column(1.0) > 0) == pytest.approx(0.17329, abs=1e-5)


def test_exceedance_sees_storms_and_not_what_lies_below_them() -> None:
    loss = parse(LOSSES["exceedance"], {"width": 0.1}).build(make_weights((1.0,)))
    calm = torch.zeros(1, 1, 1, 4, 5)
    storm = calm.clone()
    storm[..., 2, 2] = 3.0
    mask = torch.ones_like(calm) > 0
    assert loss(calm - 2, calm, mask) == pytest.approx(0, abs=1e-6)
    assert loss(calm, storm, mask) > 0.1
    assert loss(storm, storm, mask) == 0


def test_weather_takes_exceedance_and_refuses_logits() -> None:
    draw = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 2, 1, 2, 4, 5, generator=draw)
    mask = torch.ones_like(target) > 0
    sum_ = parse(LOSSES["weather"], {"weights": {"exceedance": 0.5}}).build(make_weights())
    expected = make_loss("weather")(prediction, target, mask) + 0.5 * make_loss("exceedance")(prediction, target, mask)
    torch.testing.assert_close(sum_(prediction, target, mask), expected)
    with pytest.raises(ConfigError, match="no term 'focal'"):
        parse(LOSSES["weather"], {"weights": {"focal": 1.0}}, at="loss")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("focal", {"alpha": 1.5}, r"loss\.alpha: .*less than or equal to 1"),
        ("focal", {"reduction": "none"}, r"loss\.reduction: .*'mean' or 'sum'"),
        ("exceedance", {"thresholds": []}, r"loss\.thresholds: .*at least 1 item"),
        ("exceedance", {"gamma": 0.5}, r"loss\.gamma: .*greater than or equal to 1"),
    ],
)
def test_bad_parameters_are_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(LOSSES[name], settings, at="loss")
