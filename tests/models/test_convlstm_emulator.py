from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.data.sequences.toy import Toy
from weatherml.config import load, parse_member
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Shape
from weatherml.models import MODELS
from weatherml.run.experiment import resolve
from weatherml.train.trainer import train

KEYS = (
    "input_channels",
    "num_output_variables",
    "sequence_length",
    "convlstm_hidden_dims",
    "convlstm_kernel_sizes",
    "convlstm_bias",
)
SHAPE = Shape(channels=8, targets=2, history=3, height=6, width=8, delta_std=(1.0, 1.0), periodic_x=True)
SHIPPED = load("model/convlstm")


def batch(shape: Shape) -> Batch:
    grid = (shape.height, shape.width)
    return Batch(
        history=torch.randn(2, shape.history, shape.channels, *grid),
        forcing=torch.zeros(2, 1, 0, *grid),
        static=torch.zeros(0, *grid),
        valid_time=torch.zeros(2, 1, dtype=torch.int64),
    )


def build(**settings: object) -> torch.nn.Module:
    return parse_member(MODELS, SHIPPED | settings, at="model").build(SHAPE)


def test_the_shipped_model() -> None:
    model = build()
    assert model(batch(SHAPE)).shape == (2, 1, 2, 6, 8)
    first = (8 + 64) * 4 * 64 * 9 + 4 * 64
    second = (64 + 128) * 4 * 128 * 9 + 4 * 128
    norms, head = 2 * (64 + 128), 128 * 2 + 2
    assert sum(p.numel() for p in model.parameters()) == first + second + norms + head


def test_the_globe_is_round() -> None:
    model, cases = build().eval(), batch(SHAPE)
    shifted = cases.map(lambda tensor: tensor.roll(3, -1) if tensor.ndim > 2 else tensor)
    torch.testing.assert_close(model(shifted), model(cases).roll(3, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_refused_by_name(key: str) -> None:
    settings = {name: value for name, value in SHIPPED.items() if name != key}
    with pytest.raises(ConfigError, match=rf"model.{key}: Field required; set model.{key}"):
        parse_member(MODELS, settings, at="model")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_channels": 5}, "model.input_channels: 5, the data have 8"),
        ({"num_output_variables": 1}, "model.num_output_variables: 1, the data have 2"),
        ({"sequence_length": 12}, "model.sequence_length: 12, the data have 3"),
        ({"convlstm_kernel_sizes": [3]}, "1 convlstm_kernel_sizes for 2 convlstm_hidden_dims"),
        ({"convlstm_kernel_sizes": [3, 4]}, "kernels are odd"),
        ({"convlstm_hidden_dims": [], "convlstm_kernel_sizes": []}, "convlstm_hidden_dims: .*at least 1 item"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_the_sizes_of_the_data_may_be_written_out() -> None:
    assert build(input_channels=8, num_output_variables=2, sequence_length=3)(batch(SHAPE)).shape[2] == 2


def test_it_trains_under_its_name(tmp_path: Path) -> None:
    prepare_sequences(Toy(), [], tmp_path / "toy.zarr")
    small = ["model.convlstm_hidden_dims=[8, 8]", "train.lr=0.01", "train.warmup=5", "train.steps=80", "train.ema=0.9"]
    run = train(
        resolve(None, model="convlstm", assignments=small), tmp_path / "toy.zarr", tmp_path / "run", device="cpu"
    )
    assert run.status()["skill"] < 0.5  # of the training mean's error; the law needs the step before the last
    restored, cases = run.load_model(), torch.randn(3, 3, 2, 6, 6)
    assert restored.network[0].norms[0].running_var.ne(1).any()  # the average holds the norms' statistics too
    assert torch.isfinite(restored.network(cases)).all()
