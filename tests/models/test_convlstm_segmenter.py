"""Its size, its shapes, what it learns, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from cli.main import app
from tests.data.sequences.toy import ToyMask
from weatherml.config import parse
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Shape
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.run.experiment import resolve


def make_shape(channels: int = 4, size: int = 64) -> Shape:
    return Shape(channels=channels, history=3, targets=1, height=size, width=size, delta_std=(1.0,))


def make_batch(shape: Shape, cases: int = 2) -> Batch:
    draw = torch.Generator().manual_seed(0)
    grid = (shape.height, shape.width)
    history = torch.randn(cases, shape.history, shape.channels, *grid, generator=draw)
    target = (history[:, -1:, :1] < history[:, :1, :1] - 1).float()
    return Batch(
        history=history,
        forcing=torch.zeros(cases, 1, 0, *grid),
        static=torch.zeros(0, *grid),
        valid_time=torch.zeros(cases, 1, dtype=torch.int64),
        target=target,
        mask=torch.ones_like(target, dtype=torch.bool),
    )


def build(shape: Shape, **settings: object) -> Model:
    torch.manual_seed(0)
    return parse(MODELS["convlstm-segmenter"], settings).build(shape)


def cross_entropy(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(prediction[mask], target[mask])


def test_the_documents_size() -> None:
    model = build(make_shape())
    layers = [(4 + 32) * 9 * 4 * 32 + 4 * 32, (32 + 64) * 9 * 4 * 64 + 4 * 64]  # kernels and biases of four gates
    assert layers == [41_600, 221_440]
    assert sum(p.numel() for p in model.parameters()) == sum(layers) + 64 + 1 == 263_105


@pytest.mark.parametrize("size", [64, 7])
def test_logits_of_any_grid(size: int) -> None:
    shape = make_shape(3, size)
    logits = build(shape, hidden=[4, 6])(make_batch(shape))
    assert logits.shape == (2, 1, 1, size, size)
    assert logits.dtype == torch.float32


def test_one_layer_or_three() -> None:
    shape = make_shape(2, 8)
    assert build(shape, hidden=[4], kernels=[5])(make_batch(shape)).shape == (2, 1, 1, 8, 8)
    assert build(shape, hidden=[4, 4, 4], kernels=[3, 3, 1])(make_batch(shape)).shape == (2, 1, 1, 8, 8)


def test_every_parameter_and_every_date_count() -> None:
    shape = make_shape(2, 8)
    model, batch = build(shape, hidden=[4, 6]), make_batch(shape)
    batch.history.requires_grad_()
    model.objective(batch, cross_entropy).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())
    assert batch.history.grad is not None
    assert (batch.history.grad.abs().amax((0, 2, 3, 4)) > 0).all()


def test_autocast_returns_float32_and_stays_near() -> None:
    shape = make_shape(2, 8)
    model, batch = build(shape, hidden=[4, 6]), make_batch(shape)
    expected = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(batch)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, expected, rtol=0.05, atol=0.02)


def test_it_learns_a_change() -> None:
    shape = make_shape(2, 8)
    model, batch = build(shape, hidden=[8, 8]), make_batch(shape, 4)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = model.objective(batch, cross_entropy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [8]}, "2 kernels for 1 hidden layers; give one for each"),
        ({"kernels": [3, 4]}, "an even width has no middle; take odd ones"),
        ({"hidden": []}, "at least 1 item"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(MODELS["convlstm-segmenter"], settings, at="model")


def test_the_shipped_experiment() -> None:
    experiment = resolve("forest")
    assert experiment.model == MODELS["convlstm-segmenter"]()
    assert (experiment.loss.kind, experiment.train.lr, experiment.train.weight_decay) == ("combined", 0.002, 0.0)
    assert (experiment.data.epoch_cases, experiment.train.validation.cases) == (2000, 500)
    assert experiment.train.validation.every * experiment.train.batch == 2000  # patience counts passes
    assert experiment.train.validation.patience == 5


def test_a_training_set_without_a_positive_is_refused_with_its_count(tmp_path: Path) -> None:
    class Nothing(ToyMask):
        def target(self, mean: np.ndarray) -> np.ndarray:
            return np.zeros_like(mean)

    prepare_sequences(Nothing(), [], tmp_path / "none.zarr")
    command = [
        "train",
        "--config",
        "forest",
        "--data",
        tmp_path / "none.zarr",
        "--run",
        tmp_path / "run",
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 65
    assert "0 of 136 training samples hold a positive" in " ".join(result.output.split())
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))
