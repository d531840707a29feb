"""What every dataset has beyond its source: derived variables, and the fields of the projection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from weatherml.errors import ConfigError
from weatherml.registry import suggest
from weatherml.sources.derived import needs
from weatherml.sources.formula import evaluate
from weatherml.sources.geometry import projection_fields
from weatherml.sources.source import Array, Description, Frame, Source, Wrapper
from weatherml.variables import Variable


@dataclass(frozen=True, kw_only=True)
class Selection(Wrapper):
    """A source with derived variables, of which some are stored.

    Attributes:
        derived: by formula.
        stored: the names of the channels given, in order.
    """

    derived: tuple[Variable, ...]
    stored: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, derived: tuple[Variable, ...], stored: Sequence[str] | None) -> Selection:
        """`source` with what `derived` adds; None stores all variables.

        Raises:
            ConfigError: a formula needs, or `stored` names, what neither gives.
        """
        read = [variable.name for variable in source.describe().variables]
        for variable in derived:
            _require(needs(variable), read, f"variables.{variable.name}.formula")
            if variable.name in read:
                raise ConfigError(
                    f"variables.{variable.name}: the archive has one of that name; rename the derived one"
                )
        known = [*read, *(variable.name for variable in derived)]
        _require(stored or (), known, "stored")
        return cls(source=source, derived=derived, stored=tuple(stored or known))

    def describe(self) -> Description:
        """The stored variables, and the static fields that the grid itself gives."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        inner = self.source.describe()
        known = {variable.name: variable for variable in (*inner.variables, *self.derived)}
        return replace(
            inner,
            variables=tuple(known[name] for name in self.stored),
            static=projection_fields(inner.grid) | inner.static,
        )

    def read(self, times: Array) -> Iterator[Frame]:
        """The stored fields, derived from those read where they have a formula."""
        for frame in self.source.read(times):
            derived = {v.name: evaluate(v.formula, {name: frame[name] for name in needs(v)}) for v in self.derived}
            yield {name: derived[name] if name in derived else frame[name] for name in self.stored}


def _require(names: Sequence[str], known: Collection[str], at: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{at}: the archive gives no {name!r}; {suggest(name, known)}")
