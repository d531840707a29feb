"""Self-attention over the points of a grid."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

from weatherml.nn.blocks import NORMS, Block, Conv, NormKind
from weatherml.nn.padding import Padding

HEAD_WIDTH = 32


class SelfAttention(Block):
    """x + attention(x) between all points (Vaswani et al. 2017, arXiv 1706.03762), the identity at first.

    Memory grows with the number of points where the device has a fused kernel, else with its square:
    it belongs at the coarse depths.
    """

    def __init__(self, width: int, *, norm: NormKind = "group") -> None:
        super().__init__()
        pointwise = Padding()
        self.heads = math.gcd(width, max(1, width // HEAD_WIDTH))
        self.norm = NORMS[norm](width)
        self.qkv = Conv(width, 3 * width, 1, padding=pointwise)
        self.out = Conv(width, width, 1, padding=pointwise, zero=True)

    def compute(self, x: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002 - blocks take one
        """Let every point of (B, C, H, W) read from every other."""
        batch, width, *grid = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, width // self.heads, -1)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # each (B, heads, H*W, width of a head)
        read = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(read.transpose(-1, -2).reshape(batch, width, *grid))
        return x + out
