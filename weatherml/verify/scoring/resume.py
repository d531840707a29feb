"""Parts that are done lie beside the output until all are there, so that a killed evaluation goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from weatherml.errors import BadDataError, DiskError
from weatherml.files import partial_path, read_json, remove, write_json
from weatherml.verify.scoring.inputs import Inputs, Request
from weatherml.verify.scoring.parts import Part

SCHEMA = 1
DESCRIPTION = "scored.json"


class PartFolder:
    """The finished parts of one evaluation, by block; those of another one are dropped.

    Args:
        output: the folder that the scores are for.
        fingerprint: of what is scored.
    """

    def __init__(self, output: Path, fingerprint: str) -> None:
        self.output = output
        self.fingerprint = fingerprint
        self.path = partial_path(output / "parts")
        if self._of() != fingerprint:
            remove(self.path)
            self.path.mkdir()
            write_json(self.path / DESCRIPTION, {"schema": SCHEMA, "fingerprint": fingerprint})

    def _of(self) -> str | None:
        try:
            return str(read_json(self.path / DESCRIPTION)["fingerprint"])
        except (BadDataError, KeyError, TypeError):
            return None

    def load(self, block: int) -> Part | None:
        """A finished part; None where it is not there, or not whole."""
        try:
            return Part.load(self._file(block))
        except (OSError, SafetensorError):
            return None

    def keep(self, block: int, part: Part) -> None:
        """Write a part durably.

        Raises:
            DiskError: the disk is full or fails; the parts before are still there.
        """
        try:
            part.save(self._file(block))
        except OSError as error:
            raise DiskError(f"{self.path}: {error.strerror or error}; make room, and run again to go on") from None

    def _file(self, block: int) -> Path:
        return self.path / f"part-{block:05}.safetensors"


def fingerprint(request: Request, inputs: Inputs) -> str:
    """A hash of all that sums depend on: files by size and time of change, cases, metrics, conditions."""
    paths = [request.truth, *request.forecasts, *(each for each in request.baselines or () if isinstance(each, Path))]
    scored = {
        "schema": SCHEMA,
        "files": [[str(path), *_files(path)] for path in paths],
        "readers": [[reader.name, reader.members] for reader in inputs.readers],
        "baselines": [str(each) if isinstance(each, Path) else each.settings() for each in request.baselines or ()],
        "cases": [inputs.cases.init_times.astype(str).tolist(), inputs.cases.lead_hours, inputs.cases.variables],
        "cards": {
            name: [[metric.kind, metric.settings()] for metric in card.values()] for name, card in inputs.cards.items()
        },
        "labels": inputs.conditions.labels,
        "regions": request.regions,
    }
    return hashlib.sha256(json.dumps(scored, sort_keys=True).encode()).hexdigest()


def _files(path: Path) -> Iterator[Any]:
    """Name, size and time of change of a file, or of all below a folder."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            status = file.stat()
            yield [file.relative_to(path).as_posix(), status.st_size, status.st_mtime_ns]
