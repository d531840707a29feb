"""The random numbers of an ensemble: a function of (seed, initial time, member, step), whatever the batching."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.fields import Noise

Array = npt.NDArray[Any]
Place = tuple[int, int]
"""(step, number of the draw within the step)"""


class MemberNoise:
    """Noise for rows that are (initial time, member) pairs.

    Every row, step and draw has a generator of its own, so that a member can be computed alone, in any
    company, or from any step on. The numbers differ between CPU and GPU.

    Args:
        seed: of the ensemble.
        init_times: (B,) datetime64, the initial time of each row.
        members: (B,) the member of each row.
        device: where the numbers are to be.
        correlation: of a draw with the same draw one step earlier, an AR(1) process in the steps from 0 on.
    """

    def __init__(
        self,
        seed: int,
        init_times: Array,
        members: Array,
        *,
        device: torch.device | str = "cpu",
        correlation: float = 0.0,
    ) -> None:
        self.seed = seed
        seconds = init_times.astype("datetime64[s]").astype(np.int64)
        self.rows: list[tuple[int, int]] = list(zip(seconds.tolist(), np.asarray(members).tolist(), strict=True))
        self.device = torch.device(device)
        self.correlation = correlation
        self._kept: dict[int, tuple[int, Tensor]] = {}  # by draw: the last step and its numbers

    def at(self, step: int) -> Noise:
        """The noise of one step: its first draw, its second, ..., in the order in which it is called."""
        draws = count()
        return lambda shape: self._draw((step, next(draws)), shape)

    def _draw(self, place: Place, shape: Sequence[int]) -> Tensor:
        if not self.correlation:
            return self._fresh(place, shape)
        step, draw = place
        known, value = self._kept.get(draw, (-1, None))
        if value is None or known > step:
            known, value = 0, self._fresh((0, draw), shape)
        for later in range(known + 1, step + 1):
            innovation = self._fresh((later, draw), shape)
            value = self.correlation * value + (1 - self.correlation**2) ** 0.5 * innovation
        self._kept[draw] = (step, value)
        return value

    def _fresh(self, place: Place, shape: Sequence[int]) -> Tensor:
        assert shape[0] == len(self.rows)
        return torch.stack([normal((self.seed, *row, *place), shape[1:], self.device) for row in self.rows])


def normal(key: Sequence[int], shape: Sequence[int], device: torch.device) -> Tensor:
    """Standard normal numbers of a stream named by whole numbers, each of 64 bits."""
    digest = blake2b(struct.pack(f"<{len(key)}q", *key), digest_size=16).digest()
    if device.type == "cpu":
        # not torch's generator, which keeps 32 bits of a seed on a CPU: among 400,000 streams some 18 would be twins
        stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
        return torch.from_numpy(stream.standard_normal(tuple(shape), dtype=np.float32))
    generator = torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little"))
    return torch.randn(tuple(shape), generator=generator, device=device)
