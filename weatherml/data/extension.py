"""Going on with what stands: a job that was killed, or a finished dataset to which later times have come.

Both are gone on with where the times that they hold are the first of those now described. A finished
dataset is made an unfinished one first, its shards linked and not read, so that both go the same way.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import Settings
from weatherml.data.consumed import PROGRESS, Consumed
from weatherml.data.manifest import MANIFEST
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.summary import SUMMARY
from weatherml.data.writer import StoreWriter, shard_of
from weatherml.errors import BadDataError, OutputError
from weatherml.files import read_json, refuse_existing
from weatherml.sources.base import Description, SourceConfig
from weatherml.variables import Variable

Array = npt.NDArray[Any]
REQUEST = "request.json"
QUALITY = "quality.json"
CHOSEN = frozenset({"packing_step", "add_offset"})
"""Settings of a variable that may have been learned from the data."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a dataset is made from, and how it is divided.

    Attributes:
        config: the source's settings, `end` left out.
        inputs: size in bytes by path.
        grid: its digest.
        variables: settings by name, packing left out.
        step: in seconds.
        shard: times in a shard.
    """

    config: Settings
    inputs: dict[str, int]
    grid: str
    variables: dict[str, Settings]
    step: int
    shard: int

    @classmethod
    def of(cls, config: SourceConfig, description: Description) -> Request:
        """What is asked for now."""
        return cls(
            config=endless(config.settings()),
            inputs=description.inputs,
            grid=description.grid.digest,
            variables=_settings(description.variables),
            step=int(description.step / np.timedelta64(1, "s")),
            shard=shard_of(description),
        )

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Request:
        """What a finished dataset was made from."""
        attributes: Any = dataset.group.attrs
        stored: Any = dataset.group[dataset.names[0]]
        return cls(
            config=endless(dataset.source),
            inputs={entry["path"]: entry["bytes"] for entry in read_json(dataset.path / MANIFEST)["inputs"]},
            grid=attributes["grid_digest"],
            variables=_settings(dataset.variables),
            step=attributes["time_step_seconds"],
            shard=stored.shards[0],
        )

    def divided_as(self, other: Request) -> bool:
        """Whether shards of one can stand in the other."""
        return (self.step, self.shard) == (other.step, other.shard)

    def difference(self, later: Request) -> str | None:
        """In words, what keeps the times of this from being the first of `later`; None where nothing does."""
        for path, size in self.inputs.items():
            if later.inputs.get(path) != size:
                now = f"{later.inputs[path]} bytes now" if path in later.inputs else "no input now"
                return f"{path}: was read with {size} bytes, is {now}"
        for key in ("config", "grid"):
            if getattr(self, key) != getattr(later, key):
                return f"{key}: another one"
        if list(self.variables.items()) != list(later.variables.items()):
            return f"variables: were {_names(self.variables)}, are {_names(later.variables)}, or their settings changed"
        return None


def endless(settings: Settings) -> Settings:
    """Settings of a source without its `end`; what is not set, a version before may not have known."""
    return {key: value for key, value in settings.items() if key != "end" and value is not None}


def _settings(variables: tuple[Variable, ...]) -> dict[str, Settings]:
    known = {variable.name: variable.settings() for variable in variables}
    return {name: {key: each[key] for key in each if key not in CHOSEN} for name, each in known.items()}


def _names(variables: dict[str, Settings]) -> str:
    return ", ".join(variables)


def time_difference(consumed: Array, times: Array) -> str | None:
    """In words, the first time by which `consumed` is not the beginning of `times`; None where it is."""
    if np.array_equal(consumed, times[: len(consumed)]):
        return None
    first = np.setxor1d(consumed, times[times <= consumed[-1]])[0]
    return f"{first}Z: " + ("came later than times after it" if first in times else "is no longer in the input")


def standing_dataset(output: Path, config: SourceConfig) -> Dataset | None:
    """The finished dataset at `output` that `config` may extend; None where nothing stands.

    Raises:
        OutputError: what stands is damaged, or of another configuration, or made by an earlier version.
    """
    if not output.exists():
        return None
    try:
        dataset = open_dataset(output)
    except BadDataError:
        dataset = None
    if dataset is None or SUMMARY not in dataset.group or endless(dataset.source) != endless(config.settings()):
        refuse_existing(output, overwrite=False)
    return dataset


def require_later(dataset: Dataset, request: Request, times: Array) -> None:
    """Raise OutputError unless `times` are those of the finished `dataset` and later ones."""
    old = consumed_by(dataset).all_times
    if difference := Request.of_dataset(dataset).difference(request) or time_difference(old, times):
        raise OutputError(f"{dataset.path}: exists, and cannot be extended; {difference}; replace it with --overwrite")
    if len(times) == len(old):
        refuse_existing(dataset.path, overwrite=False)


def consumed_by(dataset: Dataset) -> Consumed:
    """What a finished dataset has taken in."""
    report = read_json(dataset.path / QUALITY)
    unreadable = {time: report["quarantined"][time] for time in report["unreadable"]}
    return Consumed(times=list(dataset.times), quarantined=unreadable, findings=report["findings"])


def unfinished(path: Path, request: Request, times: Array) -> bool:
    """Whether at `path` lies an unfinished store that can be gone on with."""
    if not (path / PROGRESS).is_file() or not (path / REQUEST).is_file():
        return False
    state = read_json(path / REQUEST)
    if state.keys() != asdict(request).keys():  # of an earlier version
        return False
    old = Request(**state)
    return (
        old.divided_as(request)
        and old.difference(request) is None
        and time_difference(Consumed.read(path).all_times, times) is None
    )


def take_over(dataset: Dataset, path: Path, config: SourceConfig, description: Description) -> None:
    """Lay out at `path` an unfinished store that holds what the finished `dataset` does; its packings are kept."""
    writer = StoreWriter.create(path, description, config, dataset.packings)
    for name in writer.arrays:
        shutil.copytree(dataset.path / name / "c", path / name / "c", copy_function=_link)
    shutil.copy2(dataset.path / MANIFEST, path / MANIFEST)  # its hashes are kept
    consumed_by(dataset).write(path)  # last: from here on it is gone on with


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)
