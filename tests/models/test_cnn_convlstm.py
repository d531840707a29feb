from __future__ import annotations

import pytest
import torch

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.fields import Batch, Shape
from weatherml.models import MODELS
from weatherml.models.cnn_convlstm import SequenceClassifierModel

SMALL = {"base_features": 16, "lstm_hidden": 8, "heads": 2, "head": [12], "dropout": 0.0}


def make_shape(features: int = 5, size: int = 1) -> Shape:
    return Shape(channels=features, targets=1, history=30, height=size, width=size, delta_std=(1.0,))


def make_batch(cases: int, features: int = 5) -> Batch:
    history = torch.randn(cases, 30, features, 1, 1, generator=torch.Generator().manual_seed(0))
    event = (history[:, :, 0].mean(dim=1) > 0).float().view(-1, 1, 1, 1, 1)
    return Batch(
        history=history,
        forcing=history.new_zeros(cases, 1, 0, 1, 1),
        static=history.new_zeros(0, 1, 1),
        valid_time=torch.zeros(cases, 1, dtype=torch.int64),
        target=event,
        mask=torch.ones_like(event) > 0,
    )


def build(**settings: object) -> SequenceClassifierModel:
    torch.manual_seed(0)
    model = parse(MODELS["cnn-convlstm"], {**SMALL, **settings}, at="model").build(make_shape())
    assert isinstance(model, SequenceClassifierModel)
    return model


def test_the_founding_count() -> None:
    model = MODELS["cnn-convlstm"]().build(make_shape(37))
    convolutions = (37 * 64 * 3 + 64) + (64 * 64 * 3 + 64) + (37 * 64 + 64)  # 7,168 + 12,352 + 2,432
    norms = 3 * 2 * 64
    lstm = 2 * 2 * (4 * 32 * (64 + 32) + 2 * 4 * 32)  # 2 layers x 2 directions x 12,544; torch has two biases
    attention = 4 * (64 * 64 + 64)
    head = (64 * 128 + 128) + (128 * 64 + 64) + (64 + 1)
    assert sum(p.numel() for p in model.parameters()) == convolutions + norms + lstm + attention + head == 105_793


def test_logits_and_attention() -> None:
    model, batch = build().eval(), make_batch(3)
    assert model(batch).shape == (3, 1, 1, 1, 1)
    assert model.attention_weights(batch).shape == (3, 30, 30)
    torch.testing.assert_close(model.attention_weights(batch).sum(-1), torch.ones(3, 30))


def test_attention_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.attention: false, so there are no attention weights"):
        build(attention=False).attention_weights(make_batch(1))


def test_it_learns_which_feature_matters() -> None:
    model, batch = build(), make_batch(64)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    assert batch.target is not None
    for _ in range(80):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), batch.target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2  # ln 2 = 0.69 at first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 5}, "model: 5 heads do not divide 16 channels"),
        ({"kernel": 4}, "model: kernel 4 is even"),
        ({"lstm_hiden": 4}, r"model\.lstm_hiden: unknown key; did you mean 'lstm_hidden'"),
    ],
)
def test_bad_parameters_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_fields_are_refused() -> None:
    with pytest.raises(ConfigError, match="tells one event at one point, the data have 1 on 4 x 4"):
        MODELS["cnn-convlstm"]().build(make_shape(size=4))
