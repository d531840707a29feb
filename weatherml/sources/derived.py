"""Variables that follow from others by formula: told apart from those that a source reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weatherml.config import parse
from weatherml.errors import ConfigError
from weatherml.sources.formula import inputs_of
from weatherml.variables import DERIVED, Variable

Settings = Mapping[str, Any]


def divide(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a source with the derived variables moved from `variables` to `derived`.

    What their formulas need takes their place in `variables`, and `stored` keeps the names that stood there.

    Raises:
        ConfigError: a derived variable that cannot be.
    """
    chosen = settings.get("variables")
    if not isinstance(chosen, Mapping):
        return settings
    apart = {name: each for name, each in chosen.items() if isinstance(each, Mapping) and _is_derived(name, each)}
    if not apart:
        return settings
    derived = {**(settings.get("derived") or {}), **apart}
    read = {name: each for name, each in chosen.items() if name not in apart}
    needed = [name for variable in derived_variables(derived) for name in needs(variable)]
    return {
        **settings,
        "variables": read | {name: {} for name in needed if name not in read},
        "derived": derived,
        "stored": settings.get("stored") or tuple(dict.fromkeys([*chosen, *derived])),
    }


def derived_variables(settings: Mapping[str, Settings]) -> tuple[Variable, ...]:
    """The derived variables by name: those of `DERIVED`, as `settings` change them, and the user's own.

    Raises:
        ConfigError: an unknown setting, no units, or a formula that cannot be.
    """
    variables = tuple(
        parse(Variable, {**_known(name), **each, "name": name}, at=f"variables.{name}")
        for name, each in settings.items()
    )
    for variable in variables:
        if inner := next((name for name in needs(variable) if name in settings), None):
            raise ConfigError(f"{_at(variable)}: needs {inner}, itself a formula; write that one out in it")
    return variables


def needs(variable: Variable) -> tuple[str, ...]:
    """The variables that the formula of `variable` is of."""
    return inputs_of(variable.formula, at=_at(variable))


def _at(variable: Variable) -> str:
    return f"variables.{variable.name}.formula"


def _known(name: str) -> dict[str, Any]:
    return DERIVED[name].settings() if name in DERIVED else {}


def _is_derived(name: str, settings: Settings) -> bool:
    """Whether it has a formula; one of `DERIVED` that the source's own keys find is read like any other."""
    own_keys = any(key not in Variable.model_fields for key in settings)
    return bool(settings.get("formula", name in DERIVED and not own_keys))
