"""What sources of the same fields have in common: channels known by name, and what the ground is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.registry import suggest
from weatherml.variables import TABLE, Variable

Kind = TypeVar("Kind", bound=Variable)

GROUND_ATTRIBUTES = {
    "orography": {"standard_name": "surface_altitude", "units": "m"},
    "land_binary_mask": {"standard_name": "land_binary_mask", "units": "1"},
}
"""CF attributes of the static fields."""


def known_variable(
    kind: type[Kind], name: str, settings: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], *, key: str
) -> Kind:
    """A variable with where to find it: of a channel in `known` what the table says, else all from `settings`.

    Args:
        kind: a `Variable` with the keys that find it.
        name: of the variable.
        settings: the user's.
        known: the finding keys of the table's channels.
        key: the one without which nothing is found.

    Raises:
        ConfigError: an unknown setting, or a name that is not known and has no such key.
    """
    at = f"variables.{name}"
    if name not in known and key not in settings:
        raise ConfigError(f"{at}: not a known channel; {suggest(name, known)}, or set {at}.{key} and {at}.units")
    table = TABLE[name].settings() | dict(known[name]) if name in known else {}
    return parse(kind, {**table, **settings, "name": name}, at=at)
