"""One scene: its bands from 0 to 1, missing under clouds, and the labels of its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, model_validator

from weatherml.config import Config
from weatherml.errors import BadDataError
from weatherml.sources.imagery.files import read_arrays

Array = npt.NDArray[Any]


class Band(Config):
    """Where a band lies, and its range.

    Attributes:
        array: the array that holds it.
        index: its position in the array's last dimension, where there is one.
        low: what becomes 0; lower values do too.
        high: what becomes 1; higher values do too.
    """

    array: str = "bands"
    index: NonNegativeInt = 0
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _increasing(self) -> Band:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class Label(Config):
    """What is to be found.

    Attributes:
        array: the array that holds it, of each date or of none.
        index: its position in the array's last dimension, where there is one.
        positive: the values that are a positive, all others being none; None where it holds 0 and 1.
        unknown: values of which neither is known; NaN is one in any case.
        change: a positive is a pixel that becomes one from the first to the last date of a sequence; else the
            label of the last date, or that of no date, counts.
    """

    array: str = "label"
    index: NonNegativeInt = 0
    positive: tuple[int, ...] | None = None
    unknown: tuple[int, ...] = ()
    change: bool = False


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An image time series of H x W pixels at T dates.

    Attributes:
        times: (T,) datetime64[s], increasing.
        bands: by name, (T, H, W) float32 from 0 to 1, NaN where not clear.
        label: (T, H, W), or (1, H, W) without dates; 0, 1, or NaN where unknown.
        notes: in words, what was done to the values.
    """

    times: Array
    bands: dict[str, Array]
    label: Array
    notes: tuple[str, ...] = ()

    @property
    def clear(self) -> Array:
        """(T, H, W) bool: every band is there."""
        return np.asarray(np.isfinite(np.stack(list(self.bands.values()))).all(0))

    def label_of(self, dates: Array, *, change: bool) -> Array:
        """(H, W) label of a sequence: that of its last date, or what became positive since its first."""
        if len(self.label) == 1:
            return np.asarray(self.label[0])
        first, last = self.label[dates[0]], self.label[dates[-1]]
        return np.asarray((last - first).clip(0) if change else last)


def read_scene(
    path: Path, *, bands: Mapping[str, Band], dates: str, cloud: str | None, valid: str | None, label: Label
) -> Scene:
    """Read, scale and mask one scene.

    Args:
        path: see `read_arrays`.
        bands: by name in the dataset.
        dates: the array of dates.
        cloud: the array that is not 0 under clouds.
        valid: the array that is not 0 where the bands can be used.
        label: what is to be found.

    Raises:
        BadDataError: arrays that are not there or do not fit each other, bands out of their range, labels other
            than 0 and 1.
    """
    masks = [name for name in (cloud, valid) if name is not None]
    wanted = dict.fromkeys([*(band.array for band in bands.values()), *masks, label.array])
    times, arrays = read_arrays(path, list(wanted), dates)
    shape = _shape(path, next(iter(bands.values())).array, arrays, times)

    def plane(name: str, index: int = 0) -> Array:
        return _plane(path, name, arrays[name], index, shape)

    usable = np.ones(shape, bool)
    if cloud is not None:
        usable &= plane(cloud) == 0
    if valid is not None:
        usable &= plane(valid) != 0
    scaled = {name: _scaled(path, name, band, plane(band.array, band.index), usable) for name, band in bands.items()}
    return Scene(
        times=times,
        bands={name: values for name, (values, _) in scaled.items()},
        label=_labelled(path, label, plane(label.array, label.index)),
        notes=tuple(note for _, note in scaled.values() if note),
    )


def _shape(path: Path, name: str, arrays: Mapping[str, Array], times: Array) -> tuple[int, int, int]:
    """(T, H, W) of a scene, that of its first band."""
    found = arrays[name].shape
    if len(found) not in (3, 4) or found[0] != len(times):
        raise BadDataError(f"{path}: {name} is {found}, there are {len(times)} dates; write (dates, y, x[, band])")
    return found[0], found[1], found[2]


def _plane(path: Path, name: str, values: Array, index: int, shape: tuple[int, int, int]) -> Array:
    """(T, H, W), or (1, H, W) where there are no dates, of one entry of the last dimension."""
    for lead in (shape, shape[1:]):
        if values.shape[: len(lead)] == lead and values.ndim <= len(lead) + 1:
            entries = values.reshape(*shape[3 - len(lead) :], -1)
            if index >= entries.shape[-1]:
                raise BadDataError(f"{path}: {name} has {entries.shape[-1]} bands, not a band {index}; count from 0")
            return np.asarray(entries[..., index].reshape(-1, *shape[1:]))
    raise BadDataError(f"{path}: {name} is {values.shape}, the bands are {shape}; write all on one grid")


def _scaled(path: Path, name: str, band: Band, values: Array, usable: Array) -> tuple[Array, str]:
    """A band from 0 to 1, NaN where not usable, and a note where some values were beyond."""
    if len(values) != len(usable):
        raise BadDataError(f"{path}: {band.array} has no dates; a band needs one image a date")
    scaled = np.where(usable, (values.astype(np.float32) - band.low) / (band.high - band.low), np.nan)
    known = scaled[np.isfinite(scaled)]
    outside = float(((known < 0) | (known > 1)).mean()) if len(known) else 0.0
    if outside > 0.5:
        middle = float(np.median(known)) * (band.high - band.low) + band.low
        raise BadDataError(
            f"{path}: {name} is {middle:.4g} at the median, its range {band.low:g} to {band.high:g}; "
            f"set bands.{name}.low and bands.{name}.high"
        )
    note = f"{path.name}: {outside:.2%} of {name} beyond {band.low:g} to {band.high:g}, clipped" if outside else ""
    return scaled.clip(0, 1).astype(np.float32), note


def _labelled(path: Path, label: Label, values: Array) -> Array:
    """0, 1, or NaN where unknown, float32."""
    known = np.isfinite(values) & ~np.isin(values, label.unknown)
    positive = np.isin(values, (1,) if label.positive is None else label.positive)
    wrong = values[known & ~np.isin(values, (0, 1))]
    if label.positive is None and len(wrong):
        raise BadDataError(
            f"{path}: {label.array} is {wrong[0]:g} somewhere; labels are 0 or 1: set label.positive to the values "
            "that are a positive, or label.unknown"
        )
    if label.change and len(values) == 1:
        raise BadDataError(
            f"{path}: {label.array} has no dates; a change needs a mask at each, else unset label.change"
        )
    return np.where(known, positive, np.nan).astype(np.float32)
