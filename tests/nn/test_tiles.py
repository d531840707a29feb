"""Tiles with halos: what the whole domain gives, whatever their size, and seams where the halo falls short."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from weatherml.config import parse
from weatherml.fields import Batch, Noise, Shape
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.models.diffusion import DiffusionModel
from weatherml.nn.blocks import FiLM, NoiseMaps
from weatherml.nn.padding import Padding
from weatherml.nn.tiles import Tiling, seam_score
from weatherml.nn.unet import UNet
from weatherml.samplers import SAMPLERS

GENERATIVE = sorted(name for name in MODELS if MODELS[name].generative)
EDGES = ["zeros", "reflect", "circular"]


def random_weights(module: nn.Module) -> None:
    torch.manual_seed(1)
    for parameter in module.parameters():
        if parameter.ndim != 3:  # norms keep theirs
            nn.init.normal_(parameter, std=0.15)


def make_network(padding: str, depth: int = 1, condition: Callable[[int], nn.Module] | None = None) -> UNet:
    widths = [8] * (depth + 1)
    settings = {"blocks": 1, "norm": "point", "condition": condition}
    network = UNet(2, 1, widths=widths, padding=Padding.model_validate(padding), **settings).eval()
    random_weights(network)
    return network


def generative(name: str, grid: tuple[int, int], padding: str) -> tuple[Model, Batch]:
    """A small model with random weights, and a case for it."""
    height, width = grid
    shape = Shape(channels=1, static=1, height=height, width=width, delta_std=(0.5,))
    settings = {"base_features": 8, "depth": 1, "blocks": 1, "padding": padding, "attention": []}
    model = parse(MODELS[name], settings).build(shape).eval()
    random_weights(model)
    if isinstance(model, DiffusionModel):
        model.sampler = SAMPLERS["heun"](steps=4)  # two would leap from 214 to 0.009, of which float32 keeps little
    draw = torch.Generator().manual_seed(0)
    history = torch.randn(1, 1, 1, height, width, generator=draw)
    static = torch.randn(1, height, width, generator=draw)
    nothing = torch.zeros(1, 1, 0, height, width)
    return model, Batch(history=history, forcing=nothing, static=static, valid_time=torch.zeros(1, 1).long())


def fixed() -> Noise:
    draw = torch.Generator().manual_seed(7)
    return lambda shape: torch.randn(tuple(shape), generator=draw)


@torch.no_grad()
def sample(model: Model, batch: Batch, tiling: Tiling | None) -> Tensor:
    model.network.tiling = tiling
    return model.step(batch, fixed()) - batch.history


@pytest.mark.parametrize("padding", EDGES)
@pytest.mark.parametrize("grid", [(160, 200), (133, 151)])
@pytest.mark.parametrize("name", GENERATIVE)
def test_a_sample_in_tiles_is_the_sample_of_the_whole(name: str, grid: tuple[int, int], padding: str) -> None:
    model, batch = generative(name, grid, padding)
    whole = sample(model, batch, None)
    tiled = sample(model, batch, Tiling(size=64, halo=model.network.reach))
    assert whole.std() > 0.01
    difference = (tiled - whole) / whole.std()
    assert difference.square().mean().sqrt() < 1e-4
    assert difference.abs().max() < 1e-3


@pytest.mark.parametrize("padding", EDGES)
@pytest.mark.parametrize("size", [7, 16, 50, 500])
def test_the_size_of_tiles_does_not_matter(size: int, padding: str) -> None:
    network = make_network(padding, depth=2, condition=partial(NoiseMaps, maps=3))
    torch.manual_seed(0)
    x, maps = torch.randn(2, 2, 90, 61), torch.randn(2, 3, 90, 61)
    with torch.no_grad():
        whole = network(x, maps)
        network.tiling = Tiling(size=size, halo=network.reach)
        tiled = network(x, maps)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_what_a_point_sees_is_within_reach(depth: int) -> None:
    network = make_network("zeros", depth).double()
    reach, coarse = network.reach, 2**depth
    middle = reach // coarse * coarse + coarse
    x = torch.zeros(1, 2, 2 * middle + coarse, 8, dtype=torch.float64)
    seen = []
    for phase in range(coarse):  # how far a point sees depends on where in its coarse point it lies
        row = middle + phase
        x.requires_grad_().grad = None
        network(x)[0, 0, row].sum().backward()
        touched = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten() - row
        seen.append(int(touched.abs().max()))
    assert max(seen) <= reach
    assert max(seen) >= 0.7 * reach  # a longer halo would be computed and thrown away


def test_seams_show_where_the_halo_falls_short() -> None:
    network = make_network("circular")
    x = smooth(torch.randn(4, 2, 128, 128, generator=torch.Generator().manual_seed(0)))
    scores = {}
    for halo in (None, 0, network.reach):
        network.tiling = None if halo is None else Tiling(size=16, halo=halo)
        with torch.no_grad():
            scores[halo] = seam_score(network(x), 16)
    assert scores[0] > 3
    assert scores[network.reach] == pytest.approx(scores[None], rel=1e-3)
    assert scores[None] == pytest.approx(1, abs=0.2)  # steps within a coarse point differ a little from those between


def smooth(noise: Tensor) -> Tensor:
    """Its waves of 16 points and more, at a standard deviation of about 1."""
    waves = torch.fft.rfft2(noise)
    y, x = torch.fft.fftfreq(noise.shape[-2])[:, None], torch.fft.rfftfreq(noise.shape[-1])
    kept = torch.fft.irfft2(waves * (torch.hypot(y, x) < 1 / 16))
    return kept / kept.std()


def test_seam_score_by_hand() -> None:
    rows = torch.tensor([0.0, 1.0, 3.0, 4.0])  # steps 1, 2, 1; the middle one lies across the seam of two tiles of 2
    # along y: seam 4, elsewhere 1; along x nothing moves: 0 everywhere. (4 + 0) / 2 over (1 + 1 + 0 + 0) / 4 = 4
    assert seam_score(rows[:, None].expand(4, 4), 2) == pytest.approx(4)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("size", "halo"), [(4, 0), (4, 3), (3, 20), (100, 5)])
def test_every_point_is_computed_once(mode: str, size: int, halo: int) -> None:
    shapes: list[tuple[int, int]] = []

    def identity(x: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is not None
        assert torch.equal(condition, 2 * x)  # cut alike
        shapes.append((x.shape[-2], x.shape[-1]))
        return x + condition

    x = torch.arange(2.0 * 10 * 13).view(2, 1, 10, 13)
    out = Tiling(size=size, halo=halo).run(identity, x, 2 * x, Padding.model_validate(mode))
    assert torch.equal(out, 3 * x)
    assert max(height for height, _ in shapes) <= min(10, size + 2 * halo)


def test_tiles_begin_where_coarse_points_do() -> None:
    assert Tiling(size=50, halo=17).aligned(8) == Tiling(size=56, halo=24, multiple=8)


def test_a_vector_condition_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network("circular", condition=partial(FiLM, vector=3))
    x, vector = torch.randn(1, 2, 40, 40), torch.randn(1, 3, 1, 1)
    compute: Callable[..., Tensor] = network.compute
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(network, "compute", lambda x, c: (seen.append(tuple(c.shape)), compute(x, c))[1])
    with torch.no_grad():
        whole = network(x, vector)
        network.tiling = Tiling(size=10, halo=4)
        assert network(x, vector).shape == whole.shape
    assert set(seen) == {(1, 3, 1, 1)}
