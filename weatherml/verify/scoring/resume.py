"""Parts that are done lie beside the output until all are there, so that a killed evaluation goes on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from weatherml.errors import BadDataError, DiskError
from weatherml.files import partial_path, remove
from weatherml.schema import SCHEMAS
from weatherml.seal import VOUCHED, file_hashes, read_description, require_unchanged, write_description
from weatherml.verify.scoring.inputs import Inputs, Request
from weatherml.verify.scoring.parts import Part

logger = logging.getLogger(__name__)

KIND = "parts"
DESCRIPTION = "scored.json"
"""Names the parts that are whole, with their hashes."""


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
        self.hashes = self._known()
        if not self.hashes:
            remove(self.path)
            self.path.mkdir()
            self._describe()

    def _known(self) -> dict[str, str]:
        """Hashes of the parts by their names; none of another evaluation."""
        with suppress(BadDataError):
            found = read_description(self.path / DESCRIPTION, KIND)
            if found.get("fingerprint") == self.fingerprint:
                return dict(found[VOUCHED])
        return {}

    def _describe(self) -> None:
        write_description(self.path / DESCRIPTION, KIND, {"fingerprint": self.fingerprint, VOUCHED: self.hashes})

    def load(self, block: int) -> Part | None:
        """A finished part; None where there is none, or one that is not as it was written."""
        name = _name(block)
        if name not in self.hashes:
            return None
        try:
            require_unchanged(self.path, {name: self.hashes[name]}, "its cases are scored again")
            return Part.load(self.path / name)
        except (BadDataError, OSError) as error:
            logger.warning("%s", error)
            return None

    def keep(self, block: int, part: Part) -> None:
        """Write a part durably, then that it is whole.

        Raises:
            DiskError: the disk is full or fails; the parts before are still there.
        """
        name = _name(block)
        try:
            part.save(self.path / name)
            self.hashes |= file_hashes(self.path, [name])
            self._describe()
        except OSError as error:
            raise DiskError(f"{self.path}: {error.strerror or error}; make room, and run again to go on") from None


def _name(block: int) -> str:
    return f"part-{block:05}.safetensors"


def fingerprint(request: Request, inputs: Inputs) -> str:
    """A hash of all that sums depend on: files by size and time of change, cases, metrics, conditions."""
    paths = [request.truth, *request.forecasts, *(each for each in request.baselines or () if isinstance(each, Path))]
    scored = {
        "schema": SCHEMAS[KIND].current,
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
