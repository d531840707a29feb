"""Files of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from weatherml.files import replacing, writing


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Replace the safetensors file at `path` in one step, durably.

    Raises:
        DiskError: the disk is full or fails; what stood there stays.
    """
    with replacing(path) as temporary, writing(path):
        save_file(dict(tensors), temporary, metadata=metadata)
