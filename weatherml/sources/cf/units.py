"""Units under their usual spellings, and the few conversions that are done."""

from __future__ import annotations

from typing import Any

ALIASES = {
    **dict.fromkeys(("kelvin", "k", "degk"), "K"),
    **dict.fromkeys(("degc", "celsius", "c", "degrees_celsius", "degree_celsius", "deg_c"), "degC"),
    **dict.fromkeys(("degf", "fahrenheit", "degrees_fahrenheit"), "degF"),
    **dict.fromkeys(("m/s", "m s**-1", "m s^-1", "meters/second", "m.s-1"), "m s-1"),
    **dict.fromkeys(("km/h", "km h**-1", "kph"), "km h-1"),
    **dict.fromkeys(("knot", "knots", "kt", "kts"), "kt"),
    **dict.fromkeys(("j/kg", "j kg**-1", "j kg^-1", "m2 s-2", "m**2 s**-2"), "J kg-1"),
    **dict.fromkeys(("dbz", "db"), "dBZ"),
}
CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("degC", "K"): (1.0, 273.15),
    ("K", "degC"): (1.0, -273.15),
    ("degF", "K"): (5 / 9, 459.67 * 5 / 9),
    ("km h-1", "m s-1"): (1 / 3.6, 0.0),
    ("kt", "m s-1"): (1852 / 3600, 0.0),
}
"""(scale, offset) of the conversions done; others are refused, never guessed."""


def canonical(units: Any) -> str:
    """Units as CF writes them; empty where there are none."""
    text = str(units or "").strip()
    return ALIASES.get(text.lower(), text)


def conversion(source: str, target: str) -> tuple[float, float] | None:
    """(scale, offset) from one unit to another, both as they come; None where it is not known."""
    source, target = canonical(source), canonical(target)
    return (1.0, 0.0) if source == target else CONVERSIONS.get((source, target))
