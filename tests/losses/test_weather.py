"""The weather loss goes variable by variable: the same sum, in the memory of one variable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weatherml.losses import LOSSES
from weatherml.losses.base import FieldLoss, Weights
from weatherml.nn.recompute import set_checkpointing

WEIGHTS = Weights(
    scale=torch.tensor([0.5, 0.1, 2.0]), variable=torch.tensor([1.5, 0.5, 1.0]), rows=torch.linspace(0.5, 1.5, 12)
)
TERMS = {"l1": 0.4, "spectral": 0.3, "mse": 0.2, "gradient": 0.1, "exceedance": 0.5}


def fields() -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and a mask that hides different shares of the variables."""
    draw = torch.Generator().manual_seed(0)
    prediction, target = (torch.randn(2, 1, 3, 12, 10, generator=draw) for _ in range(2))
    mask = torch.rand(2, 1, 3, 12, 10, generator=draw) < torch.tensor([0.9, 0.5, 0.2]).view(3, 1, 1)
    return prediction.requires_grad_(), target, mask


def test_the_sum_over_variables_is_that_of_the_terms() -> None:
    prediction, target, mask = fields()
    loss = LOSSES["weather"].model_validate({"weights": TERMS}).build(WEIGHTS)
    parts = loss.parts(prediction, target, mask)
    terms = {name: LOSSES[name]().build(WEIGHTS) for name in TERMS}
    assert all(isinstance(term, FieldLoss) for term in terms.values())
    expected = sum(factor * terms[name].parts(prediction, target, mask) for name, factor in TERMS.items())
    torch.testing.assert_close(parts, expected)


@pytest.mark.parametrize("level", ["activations", "tiles"])
def test_recomputed_it_keeps_less_and_has_the_same_gradient(level: str) -> None:
    prediction, target, mask = fields()
    loss = LOSSES["weather"]().build(WEIGHTS)

    def gradient() -> tuple[Tensor, int]:
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            value = loss(prediction, target, mask)
        (found,) = torch.autograd.grad(value, prediction)
        return found, sum(kept)

    plain, most = gradient()
    set_checkpointing(loss, level)
    again, least = gradient()
    assert torch.equal(plain, again)
    assert least < 1.1 * 3 * prediction.numel() < most / 4  # the three inputs, and a few sums
