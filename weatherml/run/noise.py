"""The random numbers of an ensemble: a function of (seed, initial time, member, step), whatever the batching."""

from __future__ import annotations

from collections.abc import Sequence
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
    company, or from any step on.

    Args:
        seed: of the ensemble.
        init_times: (B,) datetime64, the initial time of each row.
        members: (B,) the member of each row.
        device: where the numbers are to be.
        correlation: of a draw with the same draw one step earlier, an AR(1) process in the steps; 0 is none.
    """

    def __init__(
        self, seed: int, init_times: Array, members: Array, *, device: torch.device | str = "cpu", correlation: float = 0.0
    ) -> None:
        self.seed = seed
        self.rows = list(zip(init_times.astype("datetime64[s]").astype(np.int64), members, strict=True))
        self.device = torch.device(device)
        self.correlation = correlation
        self._kept: dict[int, tuple[int, Tensor]] = {}  # by draw: the last step and its numbers

    def at(self, step: int) -> Noise:
        """The noise of one step: its first draw, its second, ..., in the order in which it is called."""
        draws = iter(range(1 << 30))
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
        return torch.stack([self._row(int(init), int(member), place, shape[1:]) for init, member in self.rows])

    def _row(self, init: int, member: int, place: Place, shape: Sequence[int]) -> Tensor:
        key = [self.seed, init % 2**64, member, *place]  # times before 1970 count down from 2^64
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        generator = torch.Generator(self.device).manual_seed(seed % 2**63)
        return torch.randn(tuple(shape), generator=generator, device=self.device)
