"""A run in one file: weights, statistics and grid as safetensors, all else as JSON in the file's metadata."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from weatherml.errors import BadDataError, reason
from weatherml.files import output_lock, refuse_existing, require_free
from weatherml.schema import KEY as SCHEMA
from weatherml.schema import SCHEMAS, Description
from weatherml.tensors import save_tensors

SUFFIX = ".safetensors"
KEY = "weatherml"
"""Of the metadata: one document, since the order of several is another in each file that safetensors writes."""
WEIGHTS, STATISTICS, GRID, STATIC = "weights/", "statistics/", "grid/", "static"
"""What the names of tensors begin with."""
MOST_HEADER_BYTES = 1 << 24
Tensors: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What a bundle holds.

    Attributes:
        document: JSON types: `configuration`, `data`, `status`, `step`, `calibration` and what tells of them.
        tensors: by name, those of the network under `WEIGHTS`.
    """

    document: Description
    tensors: Tensors

    @property
    def weights(self) -> Tensors:
        """The network's, by its own names."""
        return self.under(WEIGHTS)

    def lineage(self) -> Description:
        """The settings of the run's lineage, whose statistics lie among the tensors.

        Raises:
            ValueError: statistics of another number of variables.
            KeyError: no such settings.
        """
        data, rows = self.document["data"], self.under(STATISTICS)
        channels = len(data["variables"] if "variables" in data else [*data["inputs"], *data["targets"]])
        for name, row in rows.items():
            if row.shape != (channels,):
                raise ValueError(f"{STATISTICS}{name} has shape {tuple(row.shape)} for {channels} variables")
        return {**data, "statistics": {name: row.tolist() for name, row in rows.items()}}

    def under(self, prefix: str) -> Tensors:
        """The tensors whose names begin so, by the rest of their names."""
        return {name.removeprefix(prefix): each for name, each in self.tensors.items() if name.startswith(prefix)}


def write_bundle(path: Path, bundle: Bundle, *, overwrite: bool = False) -> None:
    """Write a bundle, whole or not at all; the same bundle gives the same bytes.

    Raises:
        OutputError: it exists, is being written or cannot be.
        DiskError: it will not fit.
    """
    document = {SCHEMA: SCHEMAS["bundle"].current, **bundle.document}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in bundle.tensors.items()}
    text = json.dumps(document | {"sha256": checksum(document, tensors)}, sort_keys=True)
    with output_lock(path):
        refuse_existing(path, overwrite=overwrite)
        require_free(path, len(text) + sum(tensor.nbytes for tensor in tensors.values()))
        save_tensors(path, tensors, metadata={KEY: text})


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every bit of it.

    Raises:
        BadDataError: not a bundle, of another schema, or damaged.
    """
    try:
        _require_small_header(path)
        with safe_open(path, framework="pt") as file:
            document = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        told = document.pop("sha256")
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadDataError(f"{path}: not a bundle ({reason(error)}); make one with `wml export`") from None
    upgraded = SCHEMAS["bundle"].upgraded(document, path)
    if told != checksum(document, tensors):
        raise BadDataError(f"{path}: damaged, its checksum does not match; copy it again, or export it again")
    for name in tensors:
        if not name.startswith((WEIGHTS, STATISTICS, GRID, STATIC)):
            raise BadDataError(f"{path}: unknown tensor {name:.80}; make it again with `wml export`")
    return Bundle(document=upgraded, tensors=tensors)


def checksum(document: Description, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the document, its keys sorted, and of every tensor in the order of names: type, size and bytes."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _require_small_header(path: Path) -> None:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if size > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes, at most {MOST_HEADER_BYTES} are read")
