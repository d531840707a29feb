"""Where keys lead to bytes: a bucket, a web server, or a folder laid out like one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from weatherml.errors import BadDataError, MissingInputError, UsageError
from weatherml.sources.remote import Bucket, is_url


class Archive(Protocol):
    """What `Bucket` is, too."""

    def get(self, key: str, *, most: int) -> bytes | None:
        """The bytes under a key, None where there are none; BadDataError where they are more than `most`."""

    def at(self, key: str) -> str:
        """Where a key leads, for messages."""


@dataclass(frozen=True)
class Folder:
    """A local copy of a bucket, or of parts of it."""

    path: Path

    def get(self, key: str, *, most: int) -> bytes | None:
        """The file under a key; None where there is none.

        Raises:
            BadDataError: it has more than `most` bytes, or cannot be read.
        """
        path = self.path / key
        try:
            with path.open("rb") as file:
                content = file.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadDataError(f"{path}: {error.strerror}; copy it again") from None
        if len(content) > most:
            raise BadDataError(f"{path}: over {most} bytes; check the archive")
        return content

    def at(self, key: str) -> str:
        """The path of a key."""
        return str(self.path / key)


def open_archive(inputs: Sequence[str], *, default: str, budget_seconds: float) -> Archive:
    """The one archive that `inputs` names; `default` where they name none.

    Args:
        inputs: a URL, a folder, or nothing.
        default: a URL.
        budget_seconds: how long an answer of a bucket is tried for.

    Raises:
        UsageError: more than one.
        MissingInputError: a path that is no folder.
    """
    if len(inputs) > 1:
        raise UsageError(f"--input: {len(inputs)} of them; name one archive, a URL or a folder with the same keys")
    where = inputs[0] if inputs else default
    if is_url(where):
        return Bucket(where, budget_seconds=budget_seconds)
    if not Path(where).is_dir():
        raise MissingInputError(f"{where}: no such folder; name a URL, or a folder with the archive's keys")
    return Folder(Path(where))
