"""Families of interchangeable members: each is one file, registered under the name users write in `kind`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from weatherml.errors import ConfigError

Base = TypeVar("Base")
Member = TypeVar("Member", bound=type)


class Registry(Generic[Base]):
    """The members of one family by name.

    Packages outside this one join through the entry-point group `weatherml.<family>`: loading the
    entry point runs their `register`.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._members: dict[str, type[Base]] = {}
        self._entry_points_loaded = False

    def register(self, name: str) -> Callable[[Member], Member]:
        """Class decorator: make the class the family's member `name`, and say so on it as `kind`."""

        def add(member: Member) -> Member:
            if name in self._members:
                raise ValueError(f"{self.family}: {name!r} is registered twice")
            self._members[name] = member
            member.kind = name  # type: ignore[attr-defined]
            return member

        return add

    def __getitem__(self, name: str) -> type[Base]:
        self._load_entry_points()
        if name not in self._members:
            raise ConfigError(f"{self.family}: no member {name!r}; {suggest(name, self._members)}")
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._load_entry_points()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self._load_entry_points()
        return len(self._members)

    def _load_entry_points(self) -> None:
        if self._entry_points_loaded:
            return
        self._entry_points_loaded = True
        for point in entry_points(group=f"weatherml.{self.family}"):
            point.load()


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known name, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
