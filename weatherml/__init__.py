"""Weather archives in; trained, verified kilometre-scale forecasts out.

The stages meet on disk: `weatherml.data` prepares a dataset, `weatherml.train` makes a run,
`weatherml.forecast` rolls it out, `weatherml.verify` scores the result. Here is the door to them for notebooks and
scripts, every stage as one function: see docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weatherml.door.evaluate import evaluate
    from weatherml.door.plot import plot
    from weatherml.door.prepare import prepare
    from weatherml.door.runs import Run, open_run, train_model
    from weatherml.door.stores import open_dataset, open_forecast

__all__ = ["Run", "evaluate", "open_dataset", "open_forecast", "open_run", "plot", "prepare", "train_model"]
_HOMES = {
    "Run": "runs",
    "evaluate": "evaluate",
    "open_dataset": "stores",
    "open_forecast": "stores",
    "open_run": "runs",
    "plot": "plot",
    "prepare": "prepare",
    "train_model": "runs",
}


def __getattr__(name: str) -> Any:
    """Load torch, xarray and pandas only when the door is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.door.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The door's names too, which are not loaded yet."""
    return sorted({*globals(), *__all__})


# pyproj before eccodes (where both load: weatherml.sources.grib.decode): both wheels bundle libproj, and the other
# order crashes at interpreter exit.
