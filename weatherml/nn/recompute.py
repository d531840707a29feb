"""What a network keeps for the backward pass, and what it computes again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

Checkpointing: TypeAlias = Literal["none", "activations", "blocks", "tiles"]
"""From fast to thrifty.

`activations` computes norms and activation functions again, but no convolution; `blocks` keeps the input of each
block alone; `tiles` keeps the input of each level alone and goes back through the network tile by tile.
"""


class Recomputing(nn.Module):
    """A part of a network, or of a loss, that can forget what it computed."""

    checkpointing: Checkpointing = "none"

    def set_checkpointing(self, level: Checkpointing) -> None:
        """Choose what is kept, here and in what is within."""
        self.checkpointing = level
        for part in self.children():
            set_checkpointing(part, level)

    def recomputed(self, compute: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """The output, computed again from the inputs in the backward pass, up to the last operation that saves."""
        if not torch.is_grad_enabled():
            return compute(*inputs)
        again: Tensor = checkpoint(compute, *inputs, use_reentrant=False)
        return again


def set_checkpointing(network: nn.Module, level: Checkpointing) -> None:
    """Choose what every part of a network, or of a loss, keeps for the backward pass.

    Raises:
        ConfigError: `tiles` for a network that cannot be cut.
    """
    if isinstance(network, Recomputing):
        network.set_checkpointing(level)
        return
    for part in network.children():
        set_checkpointing(part, level)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a computation depends on beside its inputs: autocast, and the states of the random generators."""

    device: str
    autocast: bool
    dtype: torch.dtype
    host: Tensor
    devices: tuple[list[int], list[Tensor]]

    @classmethod
    def of(cls, x: Tensor) -> Surroundings:
        """Those of now, for computing with `x`."""
        device = x.device.type
        return cls(
            device=device,
            autocast=torch.is_autocast_enabled(device),
            dtype=torch.get_autocast_dtype(device),
            host=torch.get_rng_state(),
            devices=get_device_states(x),
        )

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Compute among them once more; random numbers go on afterwards where they were."""
        indices, states = self.devices
        with torch.random.fork_rng(devices=indices, device_type=self.device if indices else "cuda"):
            torch.set_rng_state(self.host)
            if indices:
                set_device_states(indices, states, device_type=self.device)
            with self.cast():
                yield

    def cast(self) -> Any:
        """Autocast that casts weights anew: a cast kept from a pass without gradients would cut them off."""
        return torch.autocast(self.device, dtype=self.dtype, enabled=self.autocast, cache_enabled=False)
