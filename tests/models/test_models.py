"""One family test over every member, then what is each member's own."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from weatherml.config import load, parse, parse_member, shipped_names
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Noise, Shape
from weatherml.models import MODELS
from weatherml.models.base import Model, edges
from weatherml.models.diffusion import DiffusionModel
from weatherml.nn.padding import Padding
from weatherml.samplers import SAMPLERS

SMALL = {"simple-cnn": {"base_features": 8, "blocks": 2}, "persistence": {}}
UNET = {"base_features": 8, "depth": 2, "blocks": 1, "attention": [2]}
MEMBERS = sorted(name for name in MODELS if "forecast" in MODELS[name].tasks)
TRAINABLE = [name for name in MEMBERS if MODELS[name].trainable]


def make_shape(grid: tuple[int, int] = (8, 12), *, T: int = 1, L: int = 1, K: int = 3, S: int = 2) -> Shape:
    height, width = grid
    return Shape(channels=2, history=T, lead=L, forcing=K, static=S, height=height, width=width, delta_std=(0.5, 0.25))


def make_batch(shape: Shape, cases: int = 2, seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    grid = (shape.height, shape.width)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, *grid, generator=draw)

    return Batch(
        history=normal(cases, shape.history, shape.channels),
        forcing=normal(cases, shape.lead, shape.forcing),
        static=normal(shape.static),
        valid_time=torch.zeros(cases, shape.lead, dtype=torch.int64),
        target=normal(cases, shape.lead, shape.channels),
        mask=torch.ones(cases, shape.lead, shape.channels, *grid, dtype=torch.bool),
    )


def build(name: str, shape: Shape, *, seed: int = 0, **settings: object) -> Model:
    torch.manual_seed(seed)
    model = parse(MODELS[name], {**SMALL.get(name, UNET), **settings}).build(shape)
    if isinstance(model, DiffusionModel):
        model.sampler = SAMPLERS["euler"](steps=2)
    return model


def fixed(shift: int = 0) -> Noise:
    """The same noise every time, moved along x."""
    draw = torch.Generator().manual_seed(7)
    return lambda shape: torch.randn(tuple(shape), generator=draw).roll(shift, -1)


def trained(model: Model) -> Model:
    """The model away from its zero-initialised start."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def squared(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (prediction - target).square()[mask].mean()


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("grid", [(5, 7), (41, 78), (16, 16), (1, 3)])
def test_any_grid(name: str, grid: tuple[int, int]) -> None:
    shape = make_shape(grid)
    out = trained(build(name, shape))(make_batch(shape))
    assert out.shape == (2, 1, 2, *grid)
    assert out.dtype == torch.float32
    assert out.isfinite().all()


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(("T", "L", "K", "S"), list(product([1, 2], [1, 2], [0, 3], [0, 3])))
def test_any_inputs(name: str, T: int, L: int, K: int, S: int) -> None:
    shape = make_shape(T=T, L=L, K=K, S=S)
    batch = make_batch(shape)
    model = build(name, shape)
    assert model.step(batch).shape == (2, L, 2, 8, 12)
    assert model.objective(batch, squared).shape == ()


@pytest.mark.parametrize("name", TRAINABLE)
def test_gradients_reach_every_parameter(name: str) -> None:
    shape = make_shape((9, 13))
    model = trained(build(name, shape, dropout=0.1))
    model.objective(make_batch(shape), squared).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.abs().max() > 0, path


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_few_steps_learn_a_batch(name: str) -> None:
    shape = make_shape()
    batch, model = make_batch(shape), build(name, shape)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        torch.manual_seed(3)  # the same noise, and noise levels, each time
        loss = model.objective(batch, squared)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", MEMBERS)
def test_the_seed_decides(name: str) -> None:
    shape = make_shape()
    batch = make_batch(shape)
    one, same, other = (build(name, shape, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.step(batch, fixed()), same.step(batch, fixed()))
    parameters = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in parameters)
    drawn = [torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)]
    assert not (drawn and all(drawn))


@pytest.mark.parametrize("name", MEMBERS)
def test_channels_last_computes_the_same(name: str) -> None:
    shape = make_shape((9, 14))
    model, batch = trained(build(name, shape)), make_batch(shape)
    expected = model.step(batch, fixed())
    other = model.to(memory_format=torch.channels_last).step(batch, fixed())
    torch.testing.assert_close(other, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TRAINABLE)
def test_autocast_stays_near_and_returns_float32(name: str) -> None:
    shape = make_shape()
    model, batch = trained(build(name, shape)), make_batch(shape)
    expected = model.step(batch, fixed())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model.step(batch, fixed())
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())


@pytest.mark.parametrize("name", TRAINABLE)
def test_circular_padding_is_equivariant_to_shifts(name: str) -> None:
    shape = make_shape((6, 16), S=0)
    model = trained(build(name, shape, padding={"y": "reflect", "x": "circular"}))
    batch = make_batch(shape)
    shifted = batch.map(lambda tensor: tensor.roll(4, -1) if tensor.ndim > 2 else tensor)  # 2^depth = 4
    expected = model.step(batch, fixed()).roll(4, -1)
    torch.testing.assert_close(model.step(shifted, fixed(4)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["crps", "persistence", "simple-cnn", "unet-residual"])
@pytest.mark.parametrize("autocast", [False, True])
def test_begins_as_persistence_to_the_last_bit(name: str, autocast: bool) -> None:
    shape = make_shape(T=2, L=2)
    batch = make_batch(shape)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = build(name, shape)(batch)
    assert torch.equal(out, batch.history[:, -1:].expand(-1, 2, -1, -1, -1))


def test_the_change_is_in_units_of_delta_std() -> None:
    shape = make_shape()
    model, batch = build("unet-residual", shape), make_batch(shape)
    with torch.no_grad():
        model.network.head[-1].bias.fill_(3.0)
    change = model(batch) - batch.history
    torch.testing.assert_close(change[0, 0, :, 0, 0], torch.tensor([1.5, 0.75]))  # 3 x (0.5, 0.25)


def test_persistence_has_nothing_to_learn() -> None:
    assert not MODELS["persistence"].trainable
    assert not list(build("persistence", make_shape()).parameters())


def test_padding_follows_the_grid_unless_set() -> None:
    globe = Shape(channels=1, height=4, width=8, delta_std=(1.0,), periodic_x=True)
    assert edges(None, globe) == Padding(y="zeros", x="circular")
    assert edges(None, make_shape()) == Padding(y="zeros", x="zeros")
    assert edges(Padding(x="reflect"), globe) == Padding(x="reflect")


def test_ten_million_parameters_by_default() -> None:
    shape = Shape(channels=7, forcing=7, static=3, height=1059, width=1799, delta_std=(1.0,) * 7)
    with torch.device("meta"):
        model = MODELS["unet-residual"]().build(shape)
    assert sum(p.numel() for p in model.parameters()) == 10_488_007


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 2, "multipliers": [1, 2]}, "2 multipliers for 3 levels"),
        ({"depth": 2, "attention": [3]}, "the coarsest level is 2"),
        ({"base_featrues": 8}, "model.base_featrues: unknown key; did you mean 'base_features'"),
        ({"dropout": 1.0}, "model.dropout: .*less than 1"),
    ],
)
def test_bad_parameters_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(MODELS["unet"], settings, at="model")


@pytest.mark.parametrize("name", [name for name in shipped_names() if name.startswith("model/")])
def test_shipped_parameters_are_the_defaults(name: str) -> None:
    settings = load(name)
    kind = MODELS[settings["kind"]]
    assert kind.kind == name.removeprefix("model/")
    required = {key: settings[key] for key, field in kind.model_fields.items() if field.is_required()}
    assert parse_member(MODELS, settings, at="model") == kind(**required)
    assert kind(**required).settings() == settings  # nothing is left for the reader to guess
