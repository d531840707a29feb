"""Parts of the grid that are scored alone: land, sea, or a box of degrees with a name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from weatherml.config import parse
from weatherml.errors import BadDataError, UsageError
from weatherml.grid import Grid
from weatherml.sources.region import Region
from weatherml.verify.files.truth import Array, Truth

LAND, SEA = "land", "sea"
EDGES = ("south", "north", "west", "east")


def read_regions(texts: Iterable[str], truth: Truth) -> dict[str, Tensor]:
    """The masks (H, W) bool of regions by name, from `land`, `sea` or `NAME=south,north,west,east`.

    Raises:
        UsageError: not of that form, or a name twice.
        ConfigError: a box that is none, or off the grid.
        BadDataError: no land mask in the truth.
    """
    masks: dict[str, Tensor] = {}
    for text in texts:
        name, equals, edges = text.partition("=")
        if name in masks:
            raise UsageError(f"--region {text}: two regions are called {name}; name one otherwise")
        mask = _box(name, edges, truth.grid) if equals else _land_or_sea(name, truth)
        masks[name] = torch.from_numpy(mask)
    return masks


def _land_or_sea(name: str, truth: Truth) -> Array:
    if name not in (LAND, SEA):
        raise UsageError(f"--region {name}: unknown; use {LAND}, {SEA} or NAME=south,north,west,east in degrees")
    if truth.land is None:
        raise BadDataError(f"{truth.path}: no land_binary_mask, so no region {name}; give a box of degrees instead")
    land = truth.land >= 0.5
    mask = land if name == LAND else ~land
    if not mask.any():
        raise BadDataError(f"{truth.path}: region {name}: no such point on this grid; leave it out")
    return np.asarray(mask)


def _box(name: str, text: str, grid: Grid) -> Array:
    """The points inside a box, which may cross the date line."""
    ends = text.split(",")
    if not name or len(ends) != len(EDGES):
        raise UsageError(f"--region {name}={text}: {len(ends)} edges; give NAME=south,north,west,east in degrees")
    region = parse(Region, dict(zip(EDGES, ends, strict=True)), at=f"region {name}")
    return region.inside(grid, at=f"region {name}")
