from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.nn.padding import Padding, extend, pad_to_multiple

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize("dim", [-1, -2])
@given(size=st.integers(1, 9), before=st.integers(0, 20), after=st.integers(0, 20))
def test_extend_is_numpys_pad_for_any_size(mode: str, dim: int, size: int, before: int, after: int) -> None:
    x = torch.arange(2.0 * 3 * size).reshape(2, 3, size) + 1
    x = x if dim == -1 else x.transpose(-1, -2)
    widths = [(0, 0), (0, 0), (0, 0)]
    widths[dim] = (before, after)
    expected = np.pad(x.numpy(), widths, mode=NUMPY_MODES[mode])
    np.testing.assert_array_equal(extend(x, before, after, dim=dim, mode=mode).numpy(), expected)


def test_pad_to_multiple_appends_at_the_end() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4) + 1
    padded = pad_to_multiple(x, 4, Padding(y="reflect", x="circular"))
    assert padded.shape == (1, 1, 4, 4)
    assert torch.equal(padded[..., :3, :], x)
    assert torch.equal(padded[..., 3, :], x[..., 1, :])  # rows 0 1 2 | 1


def test_extend_keeps_channels_last() -> None:
    x = torch.randn(2, 8, 5, 6).to(memory_format=torch.channels_last)
    for dim in (-1, -2):
        wrapped = extend(x, 1, 1, dim=dim, mode="circular")
        assert wrapped.is_contiguous(memory_format=torch.channels_last)


def test_one_word_serves_both_axes() -> None:
    assert Padding.model_validate("reflect") == Padding(y="reflect", x="reflect")
    assert Padding(x="circular").settings() == {"y": "zeros", "x": "circular"}


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.padding\.y: .*'zeros', 'reflect' or 'circular'.*'mirror'"):
        parse(Padding, {"y": "mirror"}, at="model.padding")


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_the_gradient_of_copied_rows_is_exact(mode: Literal["circular", "reflect"]) -> None:
    x = torch.randn(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: extend(extend(x, 2, 3, dim=-1, mode=mode), 5, 1, dim=-2, mode=mode), x)
