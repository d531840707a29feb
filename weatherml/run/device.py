"""Which device computes, and in what precision."""

from __future__ import annotations

import logging
import os
from typing import Literal

import torch

from weatherml.errors import UnavailableError

logger = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


def pick_device(wanted: Device) -> torch.device:
    """The device to compute on.

    Raises:
        UnavailableError: `cuda` without a GPU that torch can use.
    """
    if torch.cuda.is_available():
        return torch.device("cpu" if wanted == "cpu" else "cuda")
    if wanted == "cuda":
        raise UnavailableError("cuda: torch sees no GPU; check the driver, or take --device cpu")
    if wanted == "auto":
        logger.warning("no GPU: computing on %s CPU cores", os.cpu_count())
    return torch.device("cpu")


def pick_precision(wanted: Precision, device: torch.device) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Fabric's name of the precision; `auto` is bfloat16 only where the device multiplies in it natively."""
    if wanted != "auto":
        return wanted
    if natively_bf16(device):
        return "bf16-mixed"
    return "16-mixed" if device.type == "cuda" else "32-true"


def natively_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16; a CPU without the instructions emulates it at a crawl."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels-last where convolutions run in bfloat16; in float32 on a CPU it gains nothing."""
    return torch.channels_last if natively_bf16(device) else torch.contiguous_format
