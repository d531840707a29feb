"""How long a run trains."""

from __future__ import annotations

from collections.abc import Mapping

from weatherml.errors import UsageError


def length_settings(lengths: Mapping[str, float | None]) -> list[str]:
    """The run's length as assignments: the one that was given, and no other that a configuration may hold."""
    given = [f"{key}={value}" for key, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise UsageError("--steps, --epochs and --minutes: give one of them")
    if not given or lengths["train.minutes"] is not None:  # minutes decide over all others
        return given
    return given + [f"{key}=null" for key in ("train.epochs", "train.minutes") if lengths[key] is None]
