"""What Python code may import: the door's public names."""

from __future__ import annotations

import weatherml


def door() -> str:
    """A section a public name of the package, filled by mkdocstrings from its docstring."""
    public = [getattr(weatherml, name) for name in getattr(weatherml, "__all__", ())]
    return "\n\n".join(f"::: {each.__module__}.{each.__qualname__}" for each in public)
