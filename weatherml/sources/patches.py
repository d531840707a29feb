"""Patches of image time series: a few clear dates of one place, and a mask to find at the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.base import DAY, SOURCES
from weatherml.sources.imagery.files import is_images, is_input, size_of
from weatherml.sources.imagery.lattice import Criterion, Cuts, PatchSplit, agreed, cut, parts
from weatherml.sources.imagery.scene import Band, Label, Scene, read_scene
from weatherml.sources.inputs import input_paths
from weatherml.sources.sequences import NO_PART, PARTS, SequenceConfig, Sequences
from weatherml.tasks import Task
from weatherml.variables import Variable

Array = npt.NDArray[Any]
TARGET = Variable(name="label", units="1", valid_min=0.0, valid_max=1.0)
REMEDY = "set a smaller size or stride, a lower min_clear, a longer max_gap_days, or another split.by"
FOUR_BANDS = {name: Band(index=index) for index, name in enumerate(("blue", "green", "red", "nir"))}


@SOURCES.register("patches")
class Patches(SequenceConfig):
    """NetCDF files, zarr stores, .npz files or folders of .npy files, one a scene; scenes must not overlap.

    Attributes:
        bands: what enters, by name, and where it lies.
        dates: the array of dates (datetime64, or ISO 8601 texts, in a folder also a .json list); NetCDF and zarr
            have a time coordinate instead.
        cloud: the array that is not 0 under clouds; None where there is none.
        valid: the array that is not 0 where the bands can be used; None where there is none.
        label: what is to be found.
        size: rows and columns of a patch.
        stride: pixels from one patch to the next.
        length: dates of a sequence.
        max_gap_days: the longest time from one date of a sequence to the next.
        min_clear: the least share of a patch without clouds, at each date.
        split: train, validation and test.
    """

    task: ClassVar[Task] = "segment"
    isolated: ClassVar[bool] = True

    bands: dict[str, Band] = Field(FOUR_BANDS, min_length=1)
    dates: str = "dates"
    cloud: str | None = "cloud"
    valid: str | None = None
    label: Label = Label()
    size: PositiveInt = 64
    stride: PositiveInt = 64
    length: PositiveInt = 3
    max_gap_days: PositiveFloat = 45.0
    min_clear: float = Field(0.7, ge=0, le=1)
    split: PatchSplit = PatchSplit()

    @model_validator(mode="after")
    def _label_is_no_band(self) -> Patches:
        if TARGET.name in self.bands:
            raise ValueError(f"bands: {TARGET.name!r} is the target's name; call the band otherwise")
        return self

    def build(self, inputs: Sequence[str]) -> Sequences:
        """Read every scene, cut it, and keep the sequences that fall into one part.

        Raises:
            MissingInputError: no image time series there.
            BadDataError: a scene that cannot be read or cut, or no sequence left to train on.
        """
        paths = input_paths(inputs, is_images, what="image time series", whole=is_input)
        scenes = [self._read(path) for path in paths]
        cuts = [self._cut(scene) for scene in scenes]
        part = self._parts(scenes, cuts)
        chosen = [each != NO_PART for each in part]
        if not any((each == PARTS.index("train")).any() for each in part):
            raise BadDataError(f"{', '.join(inputs)}: {_left_out(cuts, part)}; nothing is left to train on: {REMEDY}")
        kept = [each.select(choice) for each, choice in zip(cuts, chosen, strict=True)]
        joined = self._joined(_scene_names(paths), scenes, kept, np.concatenate(part)[np.concatenate(chosen)])
        notes = (_left_out(cuts, part), *(note for scene in scenes for note in scene.notes))
        return replace(joined, files={str(path): size_of(path) for path in paths}, notes=notes)

    def _joined(self, names: Sequence[str], scenes: Sequence[Scene], cuts: Sequence[Cuts], part: Array) -> Sequences:
        """The sequences of all scenes, (N,) `part` each."""
        pairs = list(zip(scenes, cuts, strict=True))
        values = [sequences_of(scene, each, size=self.size, change=self.label.change) for scene, each in pairs]
        axis = np.arange(float(self.size))
        return Sequences(
            task=self.task,
            length=self.length,
            lead=0,
            grid=Grid(kind="index", y=axis, x=axis),
            series=tuple(_series(names, scenes, cuts)),
            times=np.concatenate([scene.times[each.dates] for scene, each in pairs]),
            inputs=tuple(Variable(name=name, units="1", valid_min=0.0, valid_max=1.0) for name in self.bands),
            targets=(TARGET,),
            values={name: np.concatenate([each[name] for each in values]) for name in values[0]},
            part=_at_the_last(part, self.length),
        )

    def _read(self, path: Path) -> Scene:
        scene = read_scene(
            path, bands=self.bands, dates=self.dates, cloud=self.cloud, valid=self.valid, label=self.label
        )
        height, width = scene.clear.shape[1:]
        if min(height, width) < self.size:
            raise BadDataError(f"{path}: {height} x {width} pixels, a patch has {self.size}; set a smaller size")
        if self.split.by == ("dates",) and len(scene.label) == 1:
            raise BadDataError(
                f"{path}: {self.label.array} has no dates, so a split by dates has the same answers in every part; "
                "split.by must have columns or scenes"
            )
        return scene

    def _cut(self, scene: Scene) -> Cuts:
        return cut(
            scene.times,
            scene.clear,
            size=self.size,
            stride=self.stride,
            length=self.length,
            max_gap=np.timedelta64(round(self.max_gap_days * DAY), "s"),
            min_clear=self.min_clear,
        )

    def _parts(self, scenes: Sequence[Scene], cuts: Sequence[Cuts]) -> list[Array]:
        """The part of every sequence of each scene."""
        counts = [len(each.rows) for each in cuts]
        borders = np.cumsum(counts)[:-1]
        number = np.repeat(np.arange(len(cuts)), counts)
        times = np.concatenate([scene.times[each.dates] for scene, each in zip(scenes, cuts, strict=True)])
        criteria: dict[Criterion, Array] = {
            "columns": np.concatenate([parts(each.columns, each.columns + self.size, self.split) for each in cuts]),
            "dates": parts(times[:, 0], times[:, -1] + np.timedelta64(1, "s"), self.split),
            "scenes": parts(number, number + 1, self.split),
        }
        return np.split(agreed([criteria[by] for by in self.split.by]), borders)


def sequences_of(scene: Scene, cuts: Cuts, *, size: int, change: bool) -> dict[str, Array]:
    """Bands and label of n sequences, (n, S, size, size) float32; the label is known at the last date alone.

    Args:
        scene: what they are cut from.
        cuts: where.
        size: rows and columns of a patch.
        change: the label is what becomes positive from the first date to the last.
    """
    windows = [np.s_[y : y + size, x : x + size] for y, x in zip(cuts.rows, cuts.columns, strict=True)]
    shape = (*cuts.dates.shape, size, size)
    values = {name: np.empty(shape, np.float32) for name in scene.bands}
    values[TARGET.name] = np.full(shape, np.nan, np.float32)
    for n, (dates, window) in enumerate(zip(cuts.dates, windows, strict=True)):
        for name, band in scene.bands.items():
            values[name][n] = band[dates, *window]
        values[TARGET.name][n, -1] = scene.label_of(dates, change=change)[window]
    return values


def _scene_names(paths: Sequence[Path]) -> list[str]:
    """Of each scene: its file's name, or its path where two have the same."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _series(names: Sequence[str], scenes: Sequence[Scene], cuts: Sequence[Cuts]) -> Iterator[str]:
    """Of each sequence: its scene, first row and column, and first date."""
    for name, scene, each in zip(names, scenes, cuts, strict=True):
        for y, x, time in zip(each.rows, each.columns, scene.times[each.dates[:, 0]], strict=True):
            yield f"{name}/{y}/{x}/{time}"


def _at_the_last(part: Array, length: int) -> Array:
    """(N, S): a sample's target is at its last date."""
    table = np.full((len(part), length), NO_PART, np.int8)
    table[:, -1] = part
    return table


def _left_out(cuts: Sequence[Cuts], part: Sequence[Array]) -> str:
    """In words, how many sequences there are, and why there are not more."""
    cloudy, images, apart = (sum(getattr(each, name) for each in cuts) for name in ("cloudy", "images", "apart"))
    every = np.concatenate(part)
    return (
        f"{len(every)} sequences of clear dates close enough to each other; left out: {cloudy} of {images} patches at "
        f"one date as not clear enough, {apart} sequences with dates too far apart, "
        f"{(every == NO_PART).sum()} sequences across a border of the split"
    )
