"""Whatever is done to the bytes of an input: a documented end within bounds, and one line that says what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.faults.batches import Case, Outcome, ends
from tests.faults.commands import WML, Commands
from tests.faults.mutations import MUTATIONS
from weatherml.run.curves import plot_training
from weatherml.sources import SOURCES
from weatherml.sources.grib.octets import GribError
from weatherml.sources.grib.sidecar import choose, parse_sidecar

PREPARE = "tests.faults.test_fuzz:read_all"
COUNTS = (1, 1, 2, 3)
"""Mutations of one input; several are soon found."""
HEADERS = "tests.faults.test_fuzz:open_source"
CURVES = "tests.faults.test_fuzz:draw_curves"
CASES = "--data ../d.zarr --init 2024-06-03T02:00 --hours 1"
INDEX = b"".join(
    f"{number}:{number * 9000}:d=2024060100:{form}:{forecast}:\n".encode()
    for number, (form, forecast) in enumerate(
        [("CAPE:surface", "anl"), ("TMP:2 m above ground", "1 hour fcst"), ("APCP:surface", "0-1 hour acc fcst")]
    )
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way in.

    Attributes:
        subject: the file or folder of the world that is spoilt.
        files: a glob of those of its files that may be.
        command: what reads it, in a folder beside which the rest of the world lies.
        entry: the function that takes the command's arguments.
        share: of all the inputs.
        mortal: the command reads it in a worker, which may die.
    """

    subject: str
    command: str
    files: str = "**/*"
    entry: str = WML
    share: int = 1
    mortal: bool = False


KINDS = {
    "GRIB headers": Kind(subject="a.grib2", command="hrrr a.grib2", entry=HEADERS, share=4),
    "GRIB values": Kind(subject="a.grib2", command="hrrr a.grib2", entry=PREPARE, share=4, mortal=True),
    "NetCDF": Kind(subject="a.nc", command="netcdf a.nc", entry=PREPARE, share=8),
    "NetCDF 3": Kind(subject="classic.nc", command="netcdf classic.nc", entry=PREPARE, share=3),
    "zarr": Kind(subject="a.zarr", command="netcdf a.zarr", entry=PREPARE, share=4),
    "dataset": Kind(subject="d.zarr", command="inspect d.zarr --json", share=4),
    "dataset, deep": Kind(subject="d.zarr", command="inspect d.zarr --deep --json", share=1),
    "initial state": Kind(
        subject="d.zarr", command="rollout --run ../r --data d.zarr --init last --hours 1 --output o.zarr"
    ),
    "forecast": Kind(subject="f.zarr", command="inspect f.zarr --deep --json", share=3),
    "forecast, NetCDF": Kind(subject="f.nc", command="inspect f.nc --json", share=3),
    "forecast to score": Kind(subject="f.zarr", command="evaluate f.zarr --truth ../d.zarr --output ev"),
    "run": Kind(subject="r", files="*.*", command="inspect r --json", share=4),
    "training curves": Kind(subject="r", files="metrics.jsonl", command="r p.svg", entry=CURVES),
    "checkpoint": Kind(
        subject="r", files="checkpoints/best/*", command="export --run r --data ../d.zarr --output b.safetensors",
        share=3,
    ),
    "run to forecast with": Kind(subject="r", command=f"rollout --run r {CASES} --output o.zarr"),
    "bundle": Kind(subject="b.safetensors", command="inspect b.safetensors --json", share=4),
    "configuration": Kind(
        subject="c.yaml", command="train --config c.yaml --data absent.zarr --run x --device cpu", share=6
    ),
}  # fmt: skip


def open_source(arguments: Sequence[str]) -> None:
    """What `wml prepare` reads of a source before it starts workers."""
    kind, *inputs = arguments
    SOURCES[kind]().build(inputs)


def read_all(arguments: Sequence[str]) -> None:
    """What `wml prepare` reads of a source, in this process: its headers, then every field."""
    kind, *inputs = arguments
    source = SOURCES[kind]().build(inputs)
    source.describe()
    for _ in source.read(source.times):
        pass


def draw_curves(arguments: Sequence[str]) -> None:
    """The figure of a run's training."""
    run, output = map(Path, arguments)
    plot_training(run, output)


def spoilt(kind: Kind, name: str, seed: int, sound: Path) -> Case:
    """An input, one file of it mutated, in a folder of its own; the others are links to the sound ones."""
    rng = np.random.default_rng([sum(name.encode()), seed])
    folder, source = sound / f"{seed}", sound / kind.subject
    folder.mkdir()
    files = [source] if source.is_file() else sorted(each for each in source.glob(kind.files) if each.is_file())
    chosen = files[rng.integers(len(files))]
    if source.is_dir():
        shutil.copytree(source, folder / kind.subject, copy_function=os.link)
    content = chosen.read_bytes()
    applied = [MUTATIONS[index] for index in rng.integers(len(MUTATIONS), size=rng.choice(COUNTS))]
    for mutation in applied:
        content = mutation(content, rng) if content else b""
    target = folder / chosen.relative_to(sound)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
    words = ", ".join(each.__name__ for each in applied)
    where = f"{name} {seed}: {words} in {chosen.relative_to(sound)}"
    return Case(name=where, folder=str(folder), arguments=kind.command.split(), entry=kind.entry)


def outcomes(wml: Commands, sound: Path, name: str, trials: int) -> Iterator[Outcome]:
    """How so many mutated inputs of a kind end."""
    seeds = iter(range(trials))
    while numbers := list(islice(seeds, 25)):
        yield from ends(wml, [spoilt(KINDS[name], name, seed, sound) for seed in numbers])
        for seed in numbers:
            shutil.rmtree(sound / f"{seed}")


@pytest.mark.parametrize("trials", [110, pytest.param(10000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_a_line(wml: Commands, sound: Path, name: str, trials: int) -> None:
    kind = KINDS[name]
    count = trials * kind.share // sum(each.share for each in KINDS.values())
    found = list(outcomes(wml, sound, name, count))
    assert len(found) == count
    assert [each.fault for each in found if each.fault and not (kind.mortal and each.code < 0)] == []


def test_any_index_is_read_or_refused() -> None:
    rng, ended = np.random.default_rng(0), {"read": 0, "refused": 0}
    for _ in range(2000):
        content = INDEX
        for index in rng.integers(len(MUTATIONS), size=rng.choice(COUNTS)):
            content = MUTATIONS[index](content, rng) if content else b""
        try:
            found = parse_sidecar(content)
            choose(found, {"cape": "CAPE:surface"}, np.datetime64("2024-06-01", "s"), np.timedelta64(0, "s"))
            ended["read"] += 1
        except GribError:
            ended["refused"] += 1
    assert min(ended.values()) > 0
