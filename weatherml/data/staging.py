"""Memory in which packed fields wait for the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class Staging:
    """Lends int16 buffers, the same ones again and again; threads may share it.

    For a GPU they are pinned, so that copies need no processor, and one is lent again only when its copy is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._free: deque[tuple[Tensor, torch.cuda.Event | None]] = deque()

    @contextmanager
    def lent(self, shape: tuple[int, ...]) -> Iterator[Tensor]:
        """A buffer to fill, and within the context to copy from, on the current stream."""
        buffer = self._take(shape)
        try:
            yield buffer
        finally:
            self._free.append((buffer, self._mark()))

    def _take(self, shape: tuple[int, ...]) -> Tensor:
        try:
            buffer, copied = self._free.popleft()
        except IndexError:
            return self._new(shape)
        if copied is not None:
            copied.synchronize()
        return buffer if buffer.shape == shape else self._new(shape)

    def _new(self, shape: tuple[int, ...]) -> Tensor:
        if self.device.type == "cuda":
            return torch.empty(shape, dtype=torch.int16, pin_memory=True)
        return torch.from_numpy(np.empty(shape, np.int16))

    def _mark(self) -> torch.cuda.Event | None:
        """What is reached once all that was asked of the device so far is done."""
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event
