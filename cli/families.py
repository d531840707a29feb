"""The families that `wml list` shows."""

from __future__ import annotations

import sys
from typing import Any

from weatherml.config import shipped_names
from weatherml.registry import Registry


def families() -> list[str]:
    """Their names, in the order of the data's way."""
    return [*registries(), "configs"]


def members(family: str) -> dict[str, str]:
    """The members of a family, each with a line that says what it is."""
    if family == "configs":
        return dict.fromkeys(shipped_names(), "")
    registry = registries()[family]
    return {name: _what_it_is(registry[name]) for name in registry}


def registries() -> dict[str, Registry[Any]]:
    """The registries by family, in the order of the data's way."""
    from weatherml.diffusion.levels import LEVELS
    from weatherml.forecast.blend import COMBINERS
    from weatherml.losses import LOSSES
    from weatherml.metrics import METRICS
    from weatherml.models import MODELS
    from weatherml.samplers import SAMPLERS
    from weatherml.sources import SOURCES
    from weatherml.verify.baselines import BASELINES

    known = (SOURCES, MODELS, SAMPLERS, LEVELS, LOSSES, COMBINERS, METRICS, BASELINES)
    return {registry.family: registry for registry in known}


def _what_it_is(member: type) -> str:
    """The first line of the member's file: its class tells the parameters."""
    documented = sys.modules[member.__module__].__doc__ or member.__doc__ or ""
    return documented.strip().splitlines()[0]
