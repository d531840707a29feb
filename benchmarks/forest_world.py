"""A forest seen by a satellite: fields and clearings lose their green alike, and only clearings are to be found.

    python -m benchmarks.forest_world --output data/forest/forest.npz

Four bands of a scene of 10 m pixels at irregular dates of a year. Forest and fields have textures and a season;
fields are harvested within days, each in its own week, and grow again; the light differs from date to date; clouds
are masked, their thin edges and their shadows are not. Clearings, about 1 % of the pixels in the time of three
clear dates, appear between dates with fuzzy edges.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Array = npt.NDArray[Any]

START = np.datetime64("2023-01-05T10:00:00", "s")
DAY = np.timedelta64(86400, "s")
BANDS = ("blue", "green", "red", "nir")
FOREST, CROP, SOIL, CLOUD = (
    np.array(reflectance, np.float32)
    for reflectance in ((0.03, 0.05, 0.03, 0.32), (0.04, 0.08, 0.05, 0.38), (0.09, 0.12, 0.16, 0.24), (0.6,) * 4)
)
CLEARINGS_PER_PIXEL_DAY = 4.0e-6
RADIUS = 7.0  # of a clearing, in pixels, on average
NOISE = 0.008  # of the sensor, in units of reflectance


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A simulated scene.

    Attributes:
        dates: (T,) datetime64[s].
        bands: (T, H, W, 4) float32 reflectance.
        cloud: (T, H, W) bool, what a mask would find.
        label: (T, H, W) bool, cleared by then.
    """

    dates: Array
    bands: Array
    cloud: Array
    label: Array

    def save(self, path: Path) -> None:
        """Write what `wml prepare patches` reads with no settings but `label.change`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in ("dates", "bands", "cloud", "label")}
        np.savez(path, allow_pickle=False, **arrays)


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Array:
    """Correlated noise of unit variance."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), scale, mode="wrap")
    return np.asarray(field / field.std())


def simulate(shape: tuple[int, int], *, dates: int, seed: int) -> Forest:
    """A scene of H x W pixels at about that many dates of a year."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(np.arange(0, 365, 5), dates, replace=False))
    ground = surface(rng, shape)
    cleared = clearings(rng, ground["field"] < 0.5, days)
    bands = np.empty((dates, *shape, len(BANDS)), np.float32)
    cloud = np.empty((dates, *shape), bool)
    for t, day in enumerate(days):
        scene = reflectance(ground, day)
        scene += cleared[t][..., None] * (SOIL * (1 + 0.15 * ground["fine"][..., None]) - scene)
        bands[t], cloud[t] = observed(rng, scene)
    return Forest(dates=START + days * DAY, bands=bands, cloud=cloud, label=cleared > 0.5)


def surface(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, Array]:
    """What does not change: textures, fields and the day of their harvest."""
    parcel = np.round(smooth(rng, shape, 12) * 3)  # parcels are bands of a smooth field
    return {
        "field": gaussian_filter((smooth(rng, shape, 30) > 0.6).astype(np.float32), 0.7),
        "fine": smooth(rng, shape, 1.0),
        "coarse": smooth(rng, shape, 8.0),
        "harvest": 200 + 18 * parcel,
    }


def reflectance(ground: dict[str, Array], day: int) -> Array:
    """(H, W, 4) of the undisturbed ground on a day of the year."""
    season = 0.5 - 0.5 * np.cos(2 * np.pi * (day - 15) / 365)  # 0 in mid-January, 1 in mid-July
    texture = 1 + 0.10 * ground["fine"] + 0.10 * ground["coarse"]
    leaves = np.array([0, 0.01, 0, 0.10], np.float32) * season
    forest = (FOREST + leaves) * texture[..., None]
    since = day - ground["harvest"]
    grown = np.where(since < 0, np.clip(season * 1.3, 0, 1), np.clip((since - 15) / 60, 0, 0.7))[..., None]
    crop = grown * CROP + (1 - grown) * SOIL * (1 + 0.1 * ground["coarse"][..., None])
    field = ground["field"][..., None]
    return np.asarray(forest + field * (crop - forest), np.float32)


def clearings(rng: np.random.Generator, forest: Array, days: Array) -> Array:
    """(T, H, W) from 0 to 1, the cleared share of each pixel by each day, fuzzy at the edges; it only grows."""
    cleared = np.zeros(forest.shape, np.float32)
    rows, columns = (np.arange(size, dtype=np.float32) for size in forest.shape)
    states = np.empty((len(days), *forest.shape), np.float32)
    for t, elapsed in enumerate(np.diff(days, prepend=days[0] - 5)):
        for _ in range(rng.poisson(CLEARINGS_PER_PIXEL_DAY * forest.size * elapsed)):
            y, x = (rng.uniform(0, size) for size in forest.shape)
            radius, stretch, turn = RADIUS * rng.lognormal(0, 0.35), rng.lognormal(0, 0.3), rng.uniform(0, np.pi)
            down, across = rows[:, None] - y, columns[None] - x
            along = (np.cos(turn) * down + np.sin(turn) * across) * stretch
            beside = (-np.sin(turn) * down + np.cos(turn) * across) / stretch
            cleared = np.maximum(cleared, 1 / (1 + np.exp((np.hypot(along, beside) - radius).clip(-20, 20))))
        states[t] = cleared * forest
    return states


def observed(rng: np.random.Generator, scene: Array) -> tuple[Array, Array]:
    """A scene through haze, clouds, their shadows and the sensor, with the mask of its clouds."""
    shape = scene.shape[:2]
    cover = rng.choice([-9.0, rng.uniform(-2.5, -1.0), rng.uniform(-1.0, 1.5)], p=[0.45, 0.35, 0.2])
    thickness = np.clip(smooth(rng, shape, 18) + cover, 0, 1)
    shadow = 1 - 0.4 * np.roll(thickness, (9, 6), (0, 1))
    gain = 1 + 0.06 * rng.standard_normal(scene.shape[-1]) + 0.05 * smooth(rng, shape, 60)[..., None]
    lit = scene * (gain * shadow[..., None])
    seen = lit + thickness[..., None] * (CLOUD - lit) + NOISE * rng.standard_normal(scene.shape)
    return np.asarray(seen.clip(0, 1), np.float32), thickness > 0.15


def main() -> None:
    """Draw a scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--dates", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    simulate((options.height, options.width), dates=options.dates, seed=options.seed).save(options.output)
    print(options.output)


if __name__ == "__main__":
    main()
