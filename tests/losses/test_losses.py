"""One family test over every member, then golden numbers with their arithmetic."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from weatherml.config import override, parse
from weatherml.errors import ConfigError
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule, Weights

MEMBERS = sorted(name for name in LOSSES if not LOSSES[name].logits)


def make_weights(
    scale: tuple[float, ...] = (0.5, 2.0),
    variable: tuple[float, ...] | None = None,
    rows: tuple[float, ...] = (1.0,) * 4,
) -> Weights:
    variable = variable or (1.0,) * len(scale)
    return Weights(scale=torch.tensor(scale), variable=torch.tensor(variable), rows=torch.tensor(rows))


def make_loss(name: str, weights: Weights | None = None) -> LossModule:
    return LOSSES[name]().build(weights or make_weights())


def make_fields(seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    prediction, target = (torch.randn(2, 2, 2, 4, 5, generator=draw, dtype=dtype) for _ in range(2))
    return prediction, target, torch.rand(2, 2, 2, 4, 5, generator=draw) > 0.3


def one(values: list[list[float]]) -> Tensor:
    return torch.tensor(values)[None, None, None]


ALL = torch.ones(1, 1, 1, 2, 2, dtype=torch.bool)
UNIT = make_weights((1.0,), rows=(1.0, 1.0))


@pytest.mark.parametrize("name", MEMBERS)
def test_zero_for_a_perfect_forecast_and_positive_for_another(name: str) -> None:
    prediction, target, mask = make_fields()
    loss = make_loss(name)
    assert loss(target, target, mask) == 0
    assert loss(prediction, target, mask) > 0


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", [99.0, math.nan, math.inf])
def test_what_is_masked_changes_nothing(name: str, value: float) -> None:
    prediction, target, mask = make_fields()
    loss = make_loss(name)
    prediction.requires_grad_()
    (expected_gradient,) = torch.autograd.grad(expected := loss(prediction, target, mask), prediction)
    wild = torch.where(mask, prediction.detach(), value).requires_grad_()
    (gradient,) = torch.autograd.grad(got := loss(wild, torch.where(mask, target, -value), mask), wild)
    assert torch.equal(got, expected)
    assert torch.equal(gradient, expected_gradient)
    assert torch.all(gradient[~mask] == 0)


@pytest.mark.parametrize("name", MEMBERS)
def test_zero_with_zero_gradient_where_all_is_masked(name: str) -> None:
    prediction, target, mask = make_fields()
    loss = make_loss(name)(prediction.requires_grad_(), target, torch.zeros_like(mask))
    loss.backward()
    assert loss == 0
    assert prediction.grad is not None
    assert torch.all(prediction.grad == 0)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradient_is_finite_where_error_and_amplitude_are_zero(name: str, value: float) -> None:
    state = torch.full((1, 1, 2, 4, 5), value)
    prediction = state.clone().requires_grad_()
    make_loss(name)(prediction, state, torch.ones_like(state, dtype=torch.bool)).backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("name", MEMBERS)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    prediction, target, mask = make_fields(dtype=torch.float64)
    loss = make_loss(name).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, mask), prediction.requires_grad_())


@pytest.mark.parametrize("name", MEMBERS)
def test_float32_under_autocast(name: str) -> None:
    prediction, target, mask = make_fields()
    prediction = prediction.bfloat16().float()
    loss = make_loss(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = loss(prediction.bfloat16(), target, mask)
    assert got.dtype == torch.float32
    assert torch.equal(got, loss(prediction, target, mask))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_variable_of_weight_zero_does_not_count(name: str) -> None:
    prediction, target, mask = make_fields()
    loss = make_loss(name, make_weights(variable=(2.0, 0.0)))
    alone = make_loss(name, make_weights((0.5,)))
    first = [x[:, :, :1] for x in (prediction, target, mask)]
    torch.testing.assert_close(loss(prediction, target, mask), alone(*first))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_row_of_weight_zero_does_not_count(name: str) -> None:
    prediction, target, mask = make_fields()
    loss = make_loss(name, make_weights(rows=(0.0, 1.0, 2.0, 1.0)))
    other = prediction.clone()
    other[..., 0, :] += 5
    assert torch.equal(loss(prediction, target, mask), loss(other, target, mask))


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "exceedance"])  # thresholds are absolute
def test_scale_is_the_unit_of_an_error(name: str) -> None:
    prediction, target, mask = make_fields()
    scaled = make_loss(name, make_weights((1.5, 6.0)))  # three times the unit, three times the fields
    torch.testing.assert_close(scaled(3 * prediction, 3 * target, mask), make_loss(name)(prediction, target, mask))


@pytest.mark.parametrize("name", ["l1", "mse", "spectral"])
def test_white_noise_of_one_unit_costs_about_one(name: str) -> None:
    draw = torch.Generator().manual_seed(0)
    noise, nothing = torch.randn(4, 1, 1, 64, 64, generator=draw), torch.zeros(4, 1, 1, 64, 64)
    loss = make_loss(name, make_weights((1.0,), rows=(1.0,) * 64))(noise, nothing, nothing == 0)
    # E|x| = sqrt(2/pi) = 0.798; E x² = 1; E|F x| of a complex normal = sqrt(pi)/2 = 0.886
    assert loss == pytest.approx({"l1": 0.798, "mse": 1.0, "spectral": 0.886}[name], rel=0.02)


def test_l1_and_mse_by_hand() -> None:
    prediction, target = one([[1.0, 2.0], [3.0, 4.0]]), one([[0.0, 2.0], [5.0, 4.0]])  # errors 1, 0, -2, 0
    weights = make_weights((2.0,), rows=(0.5, 1.5))  # in units of 2: 1/2, 0, 1, 0
    # (0.5 x 1/2 + 1.5 x 1) / (2 x 0.5 + 2 x 1.5) = 1.75 / 4
    assert make_loss("l1", weights)(prediction, target, ALL) == pytest.approx(1.75 / 4)
    # (0.5 x 1/4 + 1.5 x 1) / 4 = 1.625 / 4
    assert make_loss("mse", weights)(prediction, target, ALL) == pytest.approx(1.625 / 4)
    mask = ALL.clone()
    mask[..., 1, 0] = False
    assert make_loss("l1", weights)(prediction, target, mask) == pytest.approx(0.25 / 2.5)


def test_gradient_by_hand() -> None:
    prediction, target = one([[1.0, 5.0], [2.0, 3.0]]), torch.zeros(1, 1, 1, 2, 2)
    # along y |2-1| + |3-5| = 3; along x |5-1| + |3-2| = 5; four pairs
    assert make_loss("gradient", UNIT)(prediction, target, ALL) == pytest.approx(8 / 4)
    mask = ALL.clone()
    mask[..., 0, 0] = False  # leaves 5-3 along y and 2-3 along x
    assert make_loss("gradient", UNIT)(prediction, target, mask) == pytest.approx(3 / 2)


def test_gradient_ignores_a_constant_error_and_does_not_wrap() -> None:
    step = one([[0.0, 0.0, 1.0, 1.0]])
    mask = torch.ones_like(step, dtype=torch.bool)
    loss = make_loss("gradient", make_weights((1.0,), rows=(1.0,)))
    assert loss(step + 7, step, mask) == 0
    assert loss(step, torch.zeros_like(step), mask) == pytest.approx(1 / 3)  # one jump among three pairs


def test_spectral_by_hand() -> None:
    prediction, target = one([[1.0, 1.0], [1.0, 1.0]]), one([[4.0, 0.0], [0.0, 0.0]])
    # orthonormal amplitudes: of the constant 2, 0, 0, 0; of the point 2, 2, 2, 2
    assert make_loss("spectral", UNIT)(prediction, target, ALL) == pytest.approx((0 + 2 + 2 + 2) / 4)


def test_spectral_is_blind_to_displacement() -> None:
    prediction, _, _ = make_fields()
    mask = torch.ones_like(prediction, dtype=torch.bool)
    shifted = prediction.roll((1, 2), (-2, -1))
    assert make_loss("spectral")(shifted, prediction, mask) == pytest.approx(0, abs=1e-6)
    assert make_loss("l1")(shifted, prediction, mask) > 0.5


@pytest.mark.parametrize("width", [5, 6])
def test_spectral_is_the_mean_over_the_full_plane(width: int) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, width))
    expected = np.abs(np.abs(np.fft.fft2(a, norm="ortho")) - np.abs(np.fft.fft2(b, norm="ortho"))).mean()
    fields = [torch.from_numpy(x)[None, None, None] for x in (a, b)]
    loss = make_loss("spectral", make_weights((1.0,)))
    assert loss(*fields, torch.ones_like(fields[0], dtype=torch.bool)).item() == pytest.approx(expected, rel=1e-6)


def test_weather_is_the_founding_sum() -> None:
    fields = make_fields()
    # 0.4 L1 + 0.3 spectral + 0.2 MSE + 0.1 gradient
    parts = {name: make_loss(name)(*fields).item() for name in ("l1", "spectral", "mse", "gradient")}
    expected = 0.4 * parts["l1"] + 0.3 * parts["spectral"] + 0.2 * parts["mse"] + 0.1 * parts["gradient"]
    assert make_loss("weather")(*fields).item() == pytest.approx(expected)


def test_weather_weights_are_set_one_by_one() -> None:
    settings = override({"loss": {"kind": "weather"}}, ["loss.weights.mse=0", "loss.weights.l1=1"])["loss"]
    config = parse(LOSSES["weather"], {"weights": settings["weights"]})
    assert config.settings()["weights"] == {"l1": 1.0, "spectral": 0.3, "mse": 0.0, "gradient": 0.1}
    fields, weights = make_fields(), make_weights()
    expected = sum(w * make_loss(name)(*fields).item() for name, w in [("l1", 1), ("spectral", 0.3), ("gradient", 0.1)])
    assert config.build(weights)(*fields).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"spectrl": 1.0}, r"loss\.weights: no term 'spectrl'; did you mean 'spectral'\?"),
        ({"weather": 1.0}, "no term 'weather'"),
        ({"l1": -1.0}, r"loss\.weights\.l1: .*greater than or equal to 0"),
        (3, r"loss\.weights: .*valid dictionary"),
    ],
)
def test_weather_refuses_what_it_cannot_sum(weights: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(LOSSES["weather"], {"weights": weights}, at="loss")


@pytest.mark.parametrize("name", list(LOSSES))
def test_the_parts_of_variables_add_up(name: str) -> None:
    """What is remembered is the mean of the calls, and forgotten once it was asked for."""
    prediction, target, mask = make_fields()
    target = (target > 0).float() if LOSSES[name].logits else target
    loss = make_loss(name)
    one, other = loss(prediction, target, mask), loss(2 * prediction, target, mask)
    with torch.no_grad():
        loss(3 * prediction, target, mask)  # validation
    parts = loss.contributions()
    assert parts.shape == (2,)
    assert (parts > 0).all()
    torch.testing.assert_close(parts.sum(), (one + other) / 2)
    assert loss.contributions().tolist() == [0, 0]


def cases_of(name: str, count: int) -> tuple[LossModule, list[tuple[Tensor, Tensor, Tensor]]]:
    """A loss and cases for it, each with its members side by side and another share of unknown points."""
    loss, draw, made = make_loss(name), torch.Generator().manual_seed(4), []
    for case in range(count):
        prediction = torch.randn(loss.members, 2, 2, 4, 5, generator=draw)
        target = torch.randn(1, 2, 2, 4, 5, generator=draw)
        mask = torch.rand(1, 2, 2, 4, 5, generator=draw) > 0.2 * case
        made.append((prediction, (target > 0).float() if LOSSES[name].logits else target, mask))
    return loss, made


def together(cases: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    predictions, targets, masks = zip(*cases, strict=True)
    return torch.cat(predictions), torch.cat(targets), torch.cat(masks)


@pytest.mark.parametrize("name", list(LOSSES))
def test_weights_of_cases_multiply_their_own_losses(name: str) -> None:
    loss, cases = cases_of(name, 3)
    alone = [loss(*case) for case in cases]
    loss.contributions()
    got = loss(*together(cases), torch.tensor([2.0, 0.5, 1.0]))
    torch.testing.assert_close(got, (2 * alone[0] + 0.5 * alone[1] + alone[2]) / 3)
    torch.testing.assert_close(loss.contributions().sum(), got)
    torch.testing.assert_close(loss(*cases[1], torch.ones(1)), alone[1])


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("batch", [1, 2])
def test_importance_weights_leave_the_expected_gradient_as_it_is(name: str, batch: int) -> None:
    """Over all draws of `batch` of three cases, each with its probability: the gradient of a factor of the forecast."""
    loss, cases = cases_of(name, 3)
    p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)

    def slope(chosen: tuple[int, ...], weight: Tensor | None) -> Tensor:
        factor = torch.ones((), requires_grad=True)
        prediction, target, mask = together([cases[i] for i in chosen])
        (gradient,) = torch.autograd.grad(loss(factor * prediction, target, mask, weight), factor)
        return gradient.double()

    uniform = torch.stack([slope((i,), None) for i in range(3)]).mean()
    draws = product(range(3), repeat=batch)
    expected = sum(p[list(chosen)].prod() * slope(chosen, (1 / (3 * p[list(chosen)])).float()) for chosen in draws)
    torch.testing.assert_close(expected, uniform, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_variable_that_is_told_perfectly_contributes_nothing(name: str) -> None:
    prediction, target, mask = make_fields()
    if LOSSES[name].logits:
        target = (target > 0).float()
        prediction[:, :, 0] = 1e4 * (2 * target[:, :, 0] - 1)
    else:
        prediction[:, :, 0] = target[:, :, 0]
    loss = make_loss(name)
    total = loss(prediction, target, mask)
    told, other = loss.contributions().tolist()
    assert told == pytest.approx(0, abs=1e-6)
    assert other == pytest.approx(float(total))
