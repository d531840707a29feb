"""What models give and samplers take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Denoise: TypeAlias = Callable[[Tensor, float], Tensor]
"""D(x; sigma): the expected clean field, of x's shape (B, ...)."""
