"""The versions of what lies on disk: one table, which every reader asks before it reads anything else.

To change a format: raise its `current`, and either give the migration from the version before (a pure function
of the description that the reader starts from) or none, which refuses the versions before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weatherml.errors import BadDataError

Description = dict[str, Any]
Migration = Callable[[Description], Description]
KEY = "schema"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The versions of one kind of output.

    Attributes:
        current: the version written.
        again: what to do with one that is too old to be read.
        migrations: by version n, what makes a description of version n + 1 of one of n.
        sealed_from: the first version whose description carries a seal of its own (see `weatherml.seal`).
        plain: version 1 is JSON that names no version.
        indent: of the JSON; None where it is numbers for programs, which indented would fill a multiple of the disk.
    """

    current: int
    again: str
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    sealed_from: int = 1
    plain: bool = False
    indent: int | None = 2

    def sealed(self, description: Description) -> bool:
        """Whether a description is of a version that carries a seal."""
        return bool(description[KEY] >= self.sealed_from)

    @property
    def oldest(self) -> int:
        """The oldest version from which migrations lead to the current one."""
        version = self.current
        while version - 1 in self.migrations:
            version -= 1
        return version

    @property
    def readable(self) -> str:
        """The versions read, in words."""
        return str(self.current) if self.oldest == self.current else f"{self.oldest} to {self.current}"

    def upgraded(self, description: Description, path: Path) -> Description:
        """A description as the current version writes it.

        Raises:
            BadDataError: of a newer version, of one that is no longer read, or of none.
        """
        version = description.get(KEY)
        if isinstance(version, bool) or not isinstance(version, int):
            raise BadDataError(f"{path}: names no schema version (got {version!r}); {self.again}")
        if version > self.current:
            raise BadDataError(
                f"{path}: written by a newer weatherml (schema {version}, this one reads {self.readable}); upgrade"
            )
        if version < self.oldest:
            raise BadDataError(f"{path}: of schema {version}, this version reads {self.readable}; {self.again}")
        for step in range(version, self.current):
            description = self.migrations[step](description) | {KEY: step + 1}
        return description


def unchanged(description: Description) -> Description:
    """The version after is the same, but for hashes and a seal."""
    return description


RESTART = "remove it, and the same `wml train` goes on from the last checkpoint"
REFIT = "the same `wml train` fits it again"

SCHEMAS: Mapping[str, Schema] = {
    "dataset": Schema(current=1, again="prepare it again"),
    "sequences": Schema(current=1, again="prepare it again"),
    "forecast": Schema(current=1, again="make it again with `wml rollout` or `wml ensemble`"),
    "run": Schema(current=3, again="train again", migrations={1: unchanged, 2: unchanged}, sealed_from=2),
    "status": Schema(current=2, again=RESTART, migrations={1: unchanged}, sealed_from=2, plain=True),
    "calibration": Schema(current=3, again=REFIT, migrations={1: unchanged, 2: unchanged}, sealed_from=2, plain=True),
    "checkpoint": Schema(current=2, again="train again", migrations={1: unchanged}, sealed_from=2),
    "bundle": Schema(current=1, again="make it again with `wml export`"),
    "blend": Schema(current=2, again="blend again", migrations={1: unchanged}, sealed_from=2, plain=True),
    "parts": Schema(current=2, again="evaluate again"),
    "scores": Schema(
        current=2,
        again="evaluate again with `wml evaluate --overwrite`",
        migrations={1: unchanged},
        sealed_from=2,
        plain=True,
        indent=None,
    ),
}
"""By kind, as the marker of a store calls it. A run of version 3 has a status of version 2, a calibration of 2 or 3."""
