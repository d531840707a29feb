"""How a stage says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the units of work done and in all."""


def silent(done: int, total: int) -> None:
    """Shows nothing."""
