"""Small models and grids, for plans in a second."""

from __future__ import annotations

from weatherml.fields import Shape

SMALL: dict[str, dict[str, int]] = {
    "persistence": {},
    "simple-cnn": {"base_features": 8, "blocks": 1},
    **{kind: {"base_features": 8, "blocks": 1, "depth": 2} for kind in ("unet-residual", "crps", "ddpm", "edm")},
}


def make_shape(height: int = 41, width: int = 78) -> Shape:
    """Two variables, a known and a static field."""
    return Shape(channels=2, forcing=1, static=1, height=height, width=width, delta_std=(0.5, 0.5))
