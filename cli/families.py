"""The families that `wml list` shows."""

from __future__ import annotations

from typing import Any

from weatherml.config import shipped_names
from weatherml.registry import Registry


def families() -> list[str]:
    """Their names, in the order of the data's way."""
    return [*_registries(), "configs"]


def members(family: str) -> dict[str, str]:
    """The members of a family, each with the first line of its documentation."""
    if family == "configs":
        return dict.fromkeys(shipped_names(), "")
    registry = _registries()[family]
    return {name: _first_line(registry[name]) for name in registry}


def _registries() -> dict[str, Registry[Any]]:
    from weatherml.diffusion.levels import LEVELS
    from weatherml.forecast.blend import COMBINERS
    from weatherml.losses import LOSSES
    from weatherml.metrics import METRICS
    from weatherml.models import MODELS
    from weatherml.samplers import SAMPLERS
    from weatherml.sources import SOURCES
    from weatherml.verify.baselines import BASELINES

    registries = (SOURCES, MODELS, SAMPLERS, LEVELS, LOSSES, COMBINERS, METRICS, BASELINES)
    return {registry.family: registry for registry in registries}


def _first_line(member: type) -> str:
    return (member.__doc__ or "").strip().splitlines()[0]
