from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from weatherml.nn.convlstm import ConvLSTM, ConvLSTMCell
from weatherml.nn.padding import Padding


def reference(layers: list[tuple[Tensor, Tensor | None]], x: Tensor, *, circular: bool) -> Tensor:
    """Equation by equation, gate by gate, step by step, all layers at each step."""
    B, S, _, H, W = x.shape
    h = [torch.zeros(B, len(weight) // 4, H, W, dtype=x.dtype) for weight, _ in layers]
    c = [torch.zeros_like(state) for state in h]
    for step in range(S):
        below = x[:, step]
        for n, (weight, bias) in enumerate(layers):
            hidden, reach = len(weight) // 4, weight.shape[-1] // 2
            joined = torch.cat([below, h[n]], dim=1)
            joined = functional.pad(joined, (0, 0, reach, reach))
            ends = (joined[..., -reach:], joined[..., :reach]) if circular and reach else None
            joined = torch.cat([ends[0], joined, ends[1]], -1) if ends else functional.pad(joined, (reach, reach))
            values = []
            for gate in range(4):
                rows = slice(gate * hidden, (gate + 1) * hidden)
                values.append(functional.conv2d(joined, weight[rows], None if bias is None else bias[rows]))
            i, f, o = (1 / (1 + torch.exp(-value)) for value in values[:3])
            c[n] = f * c[n] + i * torch.tanh(values[3])
            h[n] = o * torch.tanh(c[n])
            below = h[n]
    return h[-1]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("hidden", "kernels"), [([5], [3]), ([4, 6], [3, 5]), ([3, 4, 2], [1, 3, 3])])
@pytest.mark.parametrize("circular", [False, True])
def test_equals_the_equations_to_1e_10(bias: bool, hidden: list[int], kernels: list[int], circular: bool) -> None:
    torch.manual_seed(0)
    padding = Padding(x="circular" if circular else "zeros")
    network = ConvLSTM(3, hidden, kernels, bias=bias, padding=padding).double()
    x = torch.randn(2, 7, 3, 6, 8, dtype=torch.float64)
    layers = [(cell.gates.weight, cell.gates.bias) for cell in network.cells]
    torch.testing.assert_close(network(x), reference(layers, x, circular=circular), rtol=0, atol=1e-10)


def test_a_step_by_hand() -> None:
    cell = ConvLSTMCell(1, 1, 1, padding=Padding()).double()
    with torch.no_grad():
        cell.gates.weight.zero_()
        cell.gates.weight[3, 0] = 1.0  # g = tanh(x)
        cell.gates.bias.zero_()  # i = f = o = 1/2
    x = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64)
    h, c = cell(x, (torch.zeros_like(x), torch.ones_like(x)))
    assert c.item() == pytest.approx(0.5 * 1 + 0.5 * 0.46211715726)  # tanh(0.5) = 0.46211715726
    assert h.item() == pytest.approx(0.5 * 0.62371286)  # tanh(0.73105858) = 0.62371286


def test_the_state_goes_on_from_where_it_was() -> None:
    torch.manual_seed(0)
    cell, x = ConvLSTMCell(2, 3, padding=Padding()), torch.randn(1, 4, 2, 5, 5)
    state = None
    for step in x.unbind(1):
        state = cell(step, state)
    again = cell(x[:, 1], cell(x[:, 0]))
    again = cell(x[:, 3], cell(x[:, 2], again))
    assert state is not None
    assert torch.equal(state[0], again[0])
    assert torch.equal(state[1], again[1])


def test_parameters_of_the_segmenter_by_hand() -> None:
    network = ConvLSTM(4, [32, 64], [3, 3], padding=Padding())
    first = (4 + 32) * 4 * 32 * 9 + 4 * 32
    second = (32 + 64) * 4 * 64 * 9 + 4 * 64
    assert sum(p.numel() for p in network.parameters()) == first + second == 263_105 - 65  # the 1 x 1 head: 64 + 1
    assert "cells.0.gates.bias" not in ConvLSTM(4, [32], [3], bias=False, padding=Padding()).state_dict()


def test_batch_norm_is_of_every_layers_output() -> None:
    torch.manual_seed(0)
    network = ConvLSTM(2, [3, 4], [3, 3], padding=Padding(), norm=True)
    out = network(torch.randn(4, 5, 2, 6, 6))
    assert out.shape == (4, 4, 6, 6)
    plain = ConvLSTM(2, [3, 4], [3, 3], padding=Padding())
    plain.load_state_dict(network.state_dict(), strict=False)
    x = torch.randn(4, 5, 2, 6, 6)
    for norm in network.norms:
        norm.reset_running_stats()  # mean 0, variance 1: no change but for eps
    torch.testing.assert_close(network.eval()(x), plain(x), rtol=1e-4, atol=1e-4)


def test_what_goes_round_the_globe_is_equivariant_to_shifts() -> None:
    torch.manual_seed(0)
    network, x = ConvLSTM(2, [4], [3], padding=Padding(x="circular")).double(), torch.randn(1, 3, 2, 5, 7).double()
    torch.testing.assert_close(network(x.roll(3, -1)), network(x).roll(3, -1))


def test_layers_and_kernels_are_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        ConvLSTM(1, [2, 3], [3], padding=Padding())
