"""Verification: forecasts from anywhere against a dataset, on the same cases, into scores and a report."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weatherml.verify.evaluation import Evaluation, evaluate
    from weatherml.verify.scores.scores import Headline

__all__ = ["Evaluation", "Headline", "evaluate"]
_HOMES = {"Evaluation": "evaluation", "Headline": "scores.scores", "evaluate": "evaluation"}


def __getattr__(name: str) -> Any:
    """Load torch and xarray only when something is scored."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
