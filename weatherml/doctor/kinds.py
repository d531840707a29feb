"""What lies at a path, by its name and layout: enough to choose the checks, also of what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from weatherml.data.netcdf_seal import sealed_as
from weatherml.data.sequences.predictions import is_predictions
from weatherml.data.store import MARKER
from weatherml.errors import BadDataError
from weatherml.files import read_json
from weatherml.run.directory import is_run
from weatherml.verify.scores.output import FILES as SCORES

Kind = Literal["run", "bundle", "dataset", "sequences", "forecast", "scores", "predictions"]
KINDS: tuple[tuple[Kind, Callable[[Path], bool]], ...] = (
    ("run", lambda path: path.is_dir() and is_run(path)),
    ("bundle", is_run),
    ("forecast", lambda path: _marked(path, "forecast") or (path / "init_time").is_dir()),
    ("sequences", lambda path: _marked(path, "sequences") or (path / "part").is_dir()),
    ("dataset", lambda path: _marked(path, "dataset") or (path / "zarr.json").is_file()),
    ("scores", lambda path: any((path / name).is_file() for name in SCORES)),
    ("forecast", lambda path: sealed_as(path) == "forecast"),  # HDF5 opens nothing sealed before it is verified
    ("predictions", lambda path: sealed_as(path) == "predictions" or (path.suffix == ".nc" and is_predictions(path))),
    ("forecast", lambda path: path.suffix == ".nc" and path.is_file()),
)
"""The first that fits."""


def kind_of(path: Path) -> Kind | None:
    """What lies at a path; None for a folder of other things, and for what is none of ours."""
    return next((kind for kind, fits in KINDS if fits(path)), None)


def outputs(path: Path) -> Iterator[Path]:
    """The path itself where it is an output, else the outputs in the folder, by name."""
    if kind_of(path) is not None or not path.is_dir():
        yield path
    else:
        yield from (inner for inner in sorted(path.iterdir()) if inner.name[0] != "." and kind_of(inner) is not None)


def _marked(path: Path, kind: str) -> bool:
    try:
        marker = read_json(path / MARKER)
    except BadDataError:
        return False
    return isinstance(marker, dict) and marker.get("kind") == kind
