"""Diffusion on a Gaussian world, where the perfect network is known in closed form.

The next state is a x + b n at each point, n white noise. The change, in units of `scale`, then is
N(m, s^2) with m = (a - 1) x / scale and s = b / scale, and the best denoiser is (s^2 x + sigma^2 m) / (s^2 + sigma^2);
of the error of the best forecast m is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from weatherml.config import parse
from weatherml.diffusion.preconditioning import coefficients
from weatherml.fields import Batch, Noise, Shape
from weatherml.losses import LOSSES
from weatherml.losses.base import Weights
from weatherml.models import MODELS
from weatherml.models.diffusion import EVEN_FROM, DiffusionModel, LevelWatch
from weatherml.samplers import SAMPLERS

A, B_STD = 0.6, torch.tensor([0.3, 0.1])
"""What is kept of a state, and the noise of each of two variables."""
SHAPE = Shape(channels=2, height=48, width=48, delta_std=(0.4, 0.25))
SMALL = {"base_features": 8, "depth": 1, "blocks": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "edm": {"kind": "edm"},
    "edm, forecast error": {"kind": "edm", "target": "forecast-error"},
    "edm, wide": {"kind": "edm", "wide": (4, 64)},
    "edm, fine": {"kind": "edm", "fine": True},
    "edm, karras": {"kind": "edm", "spacing": "karras", "levels": {"kind": "log-normal"}},
    **{f"ddpm, {kind}": {"kind": "ddpm", "prediction": kind} for kind in ("epsilon", "v", "x0")},
    "ddpm, wide": {"kind": "ddpm", "prediction": "v", "wide": (16,)},
    "ddpm, fine": {"kind": "ddpm", "prediction": "v", "fine": True, "wide": (4,)},
    "ddpm, state": {"kind": "ddpm", "target": "state", "prediction": "v"},
    "ddpm, trailing": {"kind": "ddpm", "schedule": "linear", "timesteps": 200, "spacing": "trailing"},
}
variants = pytest.mark.parametrize("variant", VARIANTS)


def build(variant: str, shape: Shape = SHAPE, *, sampler: str = "dpm-solver++", steps: int = 16, **more: Any) -> Any:
    """A small model of a variant; with the inputs as its features, where the perfect network reads them."""
    settings = {**SMALL, **VARIANTS[variant], **more}
    kind = settings.pop("kind")
    torch.manual_seed(0)
    model = parse(MODELS[kind], settings | ({"condition_features": 0} if kind == "ddpm" else {})).build(shape)
    assert isinstance(model, DiffusionModel)
    model.sampler = SAMPLERS[sampler](steps=steps)
    return model.eval()


def perfect(model: Any, shift: float = 0.0) -> Any:
    """The model with the best network's output, or one that is off by `shift`."""
    leads = model.scale.shape[0]
    change = {"state": A, "change": A - 1, "forecast-error": 0}[model.target]
    s = (B_STD.view(-1, 1, 1) / model.scale).flatten(0, 1)

    def output(noisy: Tensor, sigma: Tensor, features: Tensor) -> Tensor:
        history = features[:, :2].unsqueeze(1)
        m = (change * history.repeat(1, leads, 1, 1, 1) / model.scale).flatten(1, 2)
        scaled = coefficients(model.prediction, sigma)
        return scaled.target(noisy, (s**2 * noisy + sigma**2 * m) / (s**2 + sigma**2)) + shift

    model._output = output
    if model.mean is not None:
        model.mean = Mean(leads)
    return model


class Mean(nn.Module):
    """The best forecast."""

    def __init__(self, leads: int) -> None:
        super().__init__()
        self.leads = leads

    def forward(self, batch: Batch) -> Tensor:
        return A * batch.history.repeat(1, self.leads, 1, 1, 1)


def make_batch(cases: int = 3, shape: Shape = SHAPE) -> Batch:
    draw = torch.Generator().manual_seed(0)
    grid = (shape.height, shape.width)
    history = torch.randn(cases, 1, 2, *grid, generator=draw)
    noise = torch.randn(cases, shape.lead, 2, *grid, generator=draw)
    target = A * history + B_STD.view(-1, 1, 1) * noise
    return Batch(
        history=history,
        forcing=torch.zeros(cases, shape.lead, 0, *grid),
        static=torch.zeros(0, *grid),
        valid_time=torch.zeros(cases, shape.lead, dtype=torch.int64),
        target=target,
        mask=torch.ones_like(target, dtype=torch.bool),
    )


def fixed(seed: int = 7) -> Noise:
    draw = torch.Generator().manual_seed(seed)
    return lambda shape: torch.randn(tuple(shape), generator=draw)


def squared(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (prediction - target).square()[mask].mean()


@variants
@pytest.mark.parametrize("lead", [1, 2])
def test_a_perfect_network_draws_from_the_law(variant: str, lead: int) -> None:
    shape = replace(SHAPE, lead=lead)
    batch = make_batch(shape=shape)
    drawn = perfect(build(variant, shape, steps=32)).step(batch, fixed())
    deviation = drawn - A * batch.history
    # 3 x 48 x 48 = 6912 points: the standard deviation is known to 0.85 %, the mean to 1.2 % of it
    spread = deviation.std(dim=(0, 3, 4)) / B_STD
    loose = 0.1 if "trailing" in variant else 0.04  # equal strides in t end far above 0, and lack variance there
    torch.testing.assert_close(spread, torch.ones_like(spread), rtol=0, atol=loose)
    assert (deviation.mean(dim=(0, 3, 4)) / B_STD).abs().max() < 0.05
    kept = (drawn * batch.history).sum(dim=(0, 3, 4)) / batch.history.square().sum(dim=(0, 3, 4))
    torch.testing.assert_close(kept, torch.full_like(kept, A), rtol=0, atol=0.02)


def test_epsilon_v_and_x0_draw_the_same_sample() -> None:
    batch = make_batch()
    epsilon, v, x0 = (perfect(build(f"ddpm, {kind}")).step(batch, fixed()) for kind in ("epsilon", "v", "x0"))
    torch.testing.assert_close(epsilon, x0, rtol=0, atol=1e-3)
    torch.testing.assert_close(v, x0, rtol=0, atol=1e-4)


@variants
@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_the_objective_of_the_perfect_network_is_what_remains(variant: str, sigma: float) -> None:
    model, batch = build(variant), make_batch(cases=6)
    model.levels = SimpleNamespace(draw=lambda count, device: torch.full((count,), sigma, device=device))
    s, delta = B_STD / model.scale.flatten(), torch.tensor(SHAPE.delta_std)
    c_out = coefficients(model.prediction, torch.tensor(sigma)).c_out
    # Var(y | x) = s^2 sigma^2 / (s^2 + sigma^2), over c_out^2 for the network's output, in units of one step's change
    expected = float((delta**2 * s**2 * sigma**2 / (s**2 + sigma**2) / c_out**2).mean())
    if model.mean is not None:  # and the best forecast's own loss, and that of a spread of 1
        error = batch.target - A * batch.history
        expected += float(error.square().mean() + 0.5 * (error / model.scale).square().mean())
    torch.manual_seed(0)
    least = perfect(model).objective(batch, squared).item()
    assert least == pytest.approx(expected, rel=0.03)
    torch.manual_seed(0)
    assert perfect(model, shift=0.3).objective(batch, squared).item() > least


@variants
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun-churn"])
def test_temperature_scales_the_spread_alone(variant: str, sampler: str) -> None:
    model, batch = perfect(build(variant, sampler=sampler)), make_batch(1)
    drawn = {}
    for temperature in (0.0, 1.0, 1.2):
        model.temperature.fill_(temperature)
        drawn[temperature] = model.step(batch, fixed())
    mean = drawn[0.0]
    torch.testing.assert_close(drawn[1.2] - mean, 1.2 * (drawn[1.0] - mean), rtol=0, atol=2e-3)
    assert (drawn[1.0] - mean).std() > 0.1


def test_each_field_has_a_temperature() -> None:
    model, batch = perfect(build("edm")), make_batch(1)
    plain = model.step(batch, fixed())
    model.temperature.copy_(torch.tensor([1.0, 2.0])[:, None, None])
    spread = (model.step(batch, fixed()) - A * batch.history).std(dim=(0, 1, 3, 4))
    before = (plain - A * batch.history).std(dim=(0, 1, 3, 4))
    torch.testing.assert_close(spread / before, torch.tensor([1.0, 2.0]), rtol=0.02, atol=0)


def random_weights(model: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


@variants
def test_a_row_is_the_same_in_any_company(variant: str) -> None:
    model, batch = build(variant, sampler="ddpm", steps=3), make_batch(3)
    random_weights(model)

    def by_row(rows: list[int]) -> Noise:
        streams = [torch.Generator().manual_seed(row) for row in rows]
        return lambda shape: torch.stack([torch.randn(tuple(shape[1:]), generator=stream) for stream in streams])

    with torch.no_grad():
        together = model.step(batch, by_row([0, 1, 2]))
        alone = model.step(one_case(batch, 1), by_row([1]))
    torch.testing.assert_close(alone, together[1:2], rtol=1e-3, atol=1e-3 * float(together.std()))
    assert not torch.allclose(together[0], together[1])


def one_case(batch: Batch, case: int) -> Batch:
    return batch.map(lambda tensor: tensor[case : case + 1] if tensor.ndim != 3 else tensor)


@variants
@pytest.mark.parametrize("value", [99.0, torch.nan])
def test_a_missing_target_leaks_nowhere(variant: str, value: float) -> None:
    batch = make_batch()
    mask = torch.rand(batch.target.shape, generator=torch.Generator().manual_seed(2)) > 0.3
    wild = torch.where(mask, batch.target, value)
    loss = LOSSES["mse"]().build(Weights(scale=B_STD, variable=torch.ones(2), rows=torch.ones(48)))
    found = []
    for target in (batch.target, wild):
        model = build(variant).train()
        random_weights(model)
        total = model.objective(replace(batch, target=target, mask=mask), loss)
        total.backward()
        found.append((total, [p.grad for p in model.parameters()], dict(model.named_buffers())))
    (total, gradients, buffers), (other, others, again) = found
    assert total.isfinite()
    assert torch.equal(total, other)
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))
    assert all(torch.equal(buffers[name], buffer) for name, buffer in again.items())


def test_the_spread_follows_the_error_of_the_forecast_while_training() -> None:
    model, batch = build("edm, forecast error"), make_batch()
    mask = torch.rand(batch.target.shape, generator=torch.Generator().manual_seed(2)) > 0.5
    half = replace(batch, mask=mask)
    model.objective(half, squared)
    assert torch.equal(model.spread, torch.ones(1, 2, 1, 1))  # in evaluation it is kept
    model.train()
    for _ in range(230):
        with torch.no_grad():
            model.objective(half, squared)
    error = batch.target - batch.history  # untrained, the forecast is persistence
    rms = torch.stack([error[:, :, c][mask[:, :, c]].square().mean().sqrt() for c in range(2)])
    # 1 - 0.98^230 = 99 % of the way from 1
    torch.testing.assert_close(model.spread.flatten(), rms / torch.tensor(SHAPE.delta_std), rtol=0, atol=0.02)
    assert "spread" in model.state_dict()


def test_a_forecast_error_trains_both_networks() -> None:
    model = build("edm, forecast error").train()
    random_weights(model)
    model.objective(make_batch(), squared).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().max() > 0, path


def test_a_constant_of_the_answer_at_high_levels_moves_members_either_way() -> None:
    """As few draws leave one: of all members at every step it would be a drift."""
    model, cases = perfect(build("edm, forecast error")), 64
    blank = Batch(
        history=torch.zeros(cases, 1, 2, 8, 8),
        forcing=torch.zeros(cases, 1, 0, 8, 8),
        static=torch.zeros(0, 8, 8),
        valid_time=torch.zeros(cases, 1, dtype=torch.int64),
    )
    right = model.step(blank, fixed())
    honest: Callable[..., Tensor] = model._output
    model._output = lambda x, sigma, features: honest(x, sigma, features) + (sigma >= EVEN_FROM)
    moved = ((model.step(blank, fixed()) - right) / B_STD.view(-1, 1, 1)).mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(moved.abs(), moved.abs().mean().expand(cases))
    assert moved.abs().mean() > 0.05
    assert abs(int((moved > 0).sum()) - cases // 2) <= 12  # three standard deviations of a fair coin


@pytest.mark.parametrize(("guidance", "calls"), [(1.0, 1), (0.0, 2), (1.5, 2)])
def test_guidance_calls_twice_and_none_once(guidance: float, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = build("ddpm, v", sampler="euler", steps=5, guidance=guidance), make_batch(1)
    count = []
    honest: Callable[..., Tensor] = model._output
    monkeypatch.setattr(model, "_output", lambda *given: (count.append(1), honest(*given))[1])
    with torch.no_grad():
        model.step(batch, fixed())
    assert len(count) == 5 * calls


def test_guidance_goes_beyond_the_condition_by_its_weight() -> None:
    model, x = build("ddpm, v", scaled_inputs=False), torch.randn(1, 2, 48, 48)
    random_weights(model)
    features = torch.randn(1, 2, 48, 48)
    denoised = {}
    with torch.no_grad():
        for w in (0.0, 1.0, 2.5):
            model.guidance = w
            denoised[w] = model._denoiser(features)(x, 0.7)
        model.guidance = 0.0
        torch.testing.assert_close(model._denoiser(2 * features)(x, 0.7), denoised[0.0])  # the condition is ignored
    assert not torch.allclose(denoised[0.0], denoised[1.0], rtol=1e-3)
    torch.testing.assert_close(denoised[2.5], denoised[0.0] + 2.5 * (denoised[1.0] - denoised[0.0]))


def test_conditions_are_dropped_by_case_and_while_training_alone() -> None:
    model = build("ddpm, v", drop=0.25)
    features = torch.ones(4000, 2, 1, 1)
    assert torch.equal(model._dropped(features), features)
    torch.manual_seed(0)
    dropped = model.train()._dropped(features)
    assert torch.equal(dropped[:, 0], dropped[:, 1])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)  # sqrt(0.25 x 0.75 / 4000) = 0.7 %


def test_the_conditioning_network_is_asked_once_a_sample() -> None:
    torch.manual_seed(0)
    model: Any = parse(MODELS["ddpm"], {**SMALL, "condition_features": 4}).build(SHAPE).eval()
    model.sampler, count = SAMPLERS["heun"](steps=4), []
    model.encoder.register_forward_hook(lambda *_: count.append(1))
    with torch.no_grad():
        model.step(make_batch(1), fixed())
    assert count == [1]


def test_levels_of_training_cover_those_of_a_sample() -> None:
    torch.manual_seed(0)
    for variant in VARIANTS:
        model = build(variant)
        drawn = model.levels.draw(4096, torch.device("cpu"))
        descent = torch.tensor(model.descent, dtype=torch.float64)
        assert drawn.dtype == torch.float32
        assert len(descent) == 17
        assert descent[-1] == 0
        assert (descent.diff() < 0).all()
        if VARIANTS[variant]["kind"] == "ddpm":
            known = model.levels.sigmas().float()
            assert torch.isin(drawn, known).all()
            assert torch.isin(descent[:-1].float(), known).all()


def test_the_watch_by_hand() -> None:
    watch = LevelWatch()
    sigma = torch.tensor([0.001, 1.2, 1.3, 500.0]).view(4, 1, 1, 1)
    watch.see(sigma, torch.tensor([1.0, 2.0, 4.0, 3.0]).view(4, 1, 1, 1).expand(4, 2, 3, 3))
    # eight bins of half a decade: 1.2 and 1.3 are in that from 1 to 3.2, of mean (4 + 16) / 2 = 10
    assert watch.read() == {"sigma/below": 1.0, "sigma/1": 10.0, "sigma/1e+02": 9.0}
    assert watch.read() == {}


def test_training_tells_the_loss_by_level() -> None:
    model = build("edm").train()
    model.objective(make_batch(), squared)
    seen = model.diagnostics()
    assert seen
    assert all(name.startswith("sigma/") for name in seen)
    assert model.diagnostics() == {}
