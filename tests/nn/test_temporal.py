from __future__ import annotations

import torch

from weatherml.nn.temporal import SequenceClassifier, TemporalAttention, TemporalBlock


def make_network(heads: int = 4, features: int = 7) -> SequenceClassifier:
    torch.manual_seed(0)
    sizes = {"width": 16, "kernel": 3, "lstm_hidden": 8, "lstm_layers": 2, "head": (12, 6), "dropout": 0.1}
    return SequenceClassifier(features, heads=heads, **sizes)  # type: ignore[arg-type]


def test_a_block_sees_two_steps_in_each_direction_and_passes_its_input_on() -> None:
    torch.manual_seed(0)
    block = TemporalBlock(3, 8, kernel=3, dropout=0.0)
    x = torch.randn(1, 11, 3)
    other = x.clone()
    other[:, 5] += 1
    assert torch.nonzero((block(x) != block(other)).any(-1)[0]).flatten().tolist() == [3, 4, 5, 6, 7]
    torch.testing.assert_close((block(x) - block.skip(x)).relu(), block(x) - block.skip(x))  # the branch ends in a ReLU


def test_a_case_does_not_depend_on_the_batch_around_it() -> None:
    network, x = make_network().eval(), torch.randn(5, 30, 7)
    torch.testing.assert_close(network(x)[2:3], network(x[2:3]))


def test_attention_weights_are_those_that_forward_uses() -> None:
    torch.manual_seed(0)
    attention, x = TemporalAttention(8, heads=2, dropout=0.0).eval(), torch.randn(2, 6, 8)
    weights = attention.weights(x)
    assert weights.shape == (2, 6, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    single = TemporalAttention(8, heads=1, dropout=0.0).eval()
    value = x @ single.attention.in_proj_weight[16:].T + single.attention.in_proj_bias[16:]
    read = single.attention.out_proj(single.weights(x) @ value)
    torch.testing.assert_close(single(x), single.norm(x + read))


def test_gradients_reach_every_parameter_with_and_without_attention() -> None:
    for heads in (0, 4):
        network = make_network(heads)
        network(torch.randn(4, 30, 7)).square().sum().backward()
        assert all(
            p.grad is not None and p.grad.abs().max() > 0
            for name, p in network.named_parameters()
            if "in_proj_bias" not in name
        )
        assert (network.attention is None) == (heads == 0)
