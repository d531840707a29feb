"""Checkpoints: weights in safetensors, optimizer state loaded with weights_only, the marker last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from weatherml.errors import BadDataError, reason
from weatherml.files import partial_path, publish, remove, writing
from weatherml.seal import file_hashes, read_description, require_unchanged, write_description

MARKER = "complete.json"
KEPT = 2
AGAIN = "remove it to go on from the one before"
REFUSED = "Weights only load failed"
"""What torch's message begins with, which goes on with how to run the code all the same."""
Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything a run needs to go on.

    Attributes:
        step: optimizer steps done.
        weights: the model's state.
        average: the moving average of the weights, the ones to forecast with.
        optimizer: the optimizer's state; None where only inference is meant.
        progress: what else goes on: best score, validations without improvement.
    """

    step: int
    weights: Weights
    average: Weights
    optimizer: dict[str, Any] | None
    progress: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, *, name: str | None = None) -> Path:
    """Write a checkpoint under `folder`, whole or not at all; older ones beyond `KEPT` are removed after."""
    path = folder / (name or f"step-{checkpoint.step}")
    partial = partial_path(path)
    remove(partial)
    partial.mkdir(parents=True)
    with writing(path):
        save_file(plain(checkpoint.average), partial / "average.safetensors")
        if checkpoint.optimizer is not None:
            save_file(plain(checkpoint.weights), partial / "weights.safetensors")
            torch.save(checkpoint.optimizer, partial / "optimizer.pt")
    files = file_hashes(partial, sorted(file.name for file in partial.iterdir()))
    marker = {"step": checkpoint.step, "progress": checkpoint.progress, "files": files}
    write_description(partial / MARKER, "checkpoint", marker)
    publish(partial, path)
    if name is None:
        kept = {f"step-{step}" for step in steps(folder)[-KEPT:]}
        for other in folder.glob("*step-*"):  # what killed writers left too
            if other.name not in kept:
                remove(other)
    return path


def verify(path: Path) -> dict[str, Any]:
    """What the marker of a checkpoint says, its files held against their hashes (the first checkpoints kept none).

    Raises:
        BadDataError: unfinished, of another schema, or changed since it was written.
    """
    marker = read_description(path / MARKER, "checkpoint")
    require_unchanged(path, marker["files"], AGAIN)
    return marker


def load(path: Path) -> Checkpoint:
    """Read a checkpoint to the CPU.

    Raises:
        BadDataError: unfinished, of another schema, or a file that does not read.
    """
    marker = verify(path)
    try:
        average = load_file(path / "average.safetensors")
        resumable = (path / "optimizer.pt").exists()
        if resumable:
            _require_plain(path / "optimizer.pt")
        weights = load_file(path / "weights.safetensors") if resumable else average
        optimizer = torch.load(path / "optimizer.pt", weights_only=True, map_location="cpu") if resumable else None
    except Exception as error:  # noqa: BLE001 - safetensors' errors, and the unpickler's of what it refuses to load
        raise BadDataError(f"{path}: does not read ({_reason(error)}); {AGAIN}") from None
    return Checkpoint(
        step=marker["step"], weights=weights, average=average, optimizer=optimizer, progress=marker["progress"]
    )


def _require_plain(path: Path) -> None:
    """Raise ValueError where an archive inflates, as torch's own never do: a small one could fill the memory."""
    if not is_zipfile(path):
        return
    with ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > path.stat().st_size:
        raise ValueError(f"{path.name} would inflate to {size} bytes")


def _reason(error: Exception) -> str:
    if str(error).startswith(REFUSED):
        return "the optimizer's state holds more than tensors and numbers"
    if isinstance(error, MemoryError):
        return "it claims to hold more than any memory does"
    return reason(error)


def steps(folder: Path) -> list[int]:
    """Steps of the finished checkpoints, oldest first."""
    found = (path for path in folder.glob("step-*") if (path / MARKER).is_file())
    return sorted(int(path.name.removeprefix("step-")) for path in found)


def plain(weights: Weights) -> Weights:
    """Contiguous copies on the CPU, as safetensors takes them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
