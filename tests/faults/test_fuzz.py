"""Whatever is done to the bytes of an input: a documented end within bounds, and one line that says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.faults.batches import Case, Outcome, ends
from tests.faults.commands import WML, Commands
from tests.faults.mutations import MUTATIONS
from tests.faults.resealed import listed
from tests.faults.served import ENTRY as SERVED
from weatherml.sources.grib.octets import GribError
from weatherml.sources.grib.sidecar import choose, parse_sidecar

ENTRIES = "tests.faults.entries:"
COUNTS = (1, 1, 2, 3)
"""Mutations of one input; several are soon found."""
BATCH = 50
"""Inputs that lie on the disk at a time."""
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
        mortal: the command reads it in a worker, which may die, though not hang.
        again: what makes the hashes of a spoilt file again, so that more than these can be put to the test.
    """

    subject: str
    command: str
    files: str = "**/*"
    entry: str = WML
    share: int = 1
    mortal: bool = False
    again: Callable[[Path], None] | None = None


KINDS = {
    "GRIB headers": Kind(subject="a.grib2", command="hrrr a.grib2", entry=f"{ENTRIES}open_source", share=12),
    "GRIB values": Kind(
        subject="a.grib2", command="hrrr a.grib2", entry=f"{ENTRIES}read_source", share=8, mortal=True
    ),
    "GRIB of a bucket": Kind(
        subject="archive", files="**/*.grib2", command="archive", entry=SERVED, mortal=True, share=3
    ),
    "index of a bucket": Kind(subject="archive", files="**/*.idx", command="archive", entry=SERVED, share=3),
    "NetCDF": Kind(subject="a.nc", command="netcdf a.nc", entry=f"{ENTRIES}read_mortally", share=10, mortal=True),
    "NetCDF 3": Kind(
        subject="classic.nc", command="netcdf classic.nc", entry=f"{ENTRIES}read_mortally", share=4, mortal=True
    ),
    "NetCDF, apart": Kind(subject="a.nc", command="netcdf a.nc", entry=f"{ENTRIES}read_apart", share=2),
    "zarr": Kind(subject="a.zarr", command="netcdf a.zarr", entry=f"{ENTRIES}read_source", share=6),
    "dataset": Kind(subject="d.zarr", command="inspect d.zarr --json", share=4),
    "dataset, deep": Kind(subject="d.zarr", command="inspect d.zarr --deep --json", share=3),
    "initial state": Kind(
        subject="d.zarr", command="rollout --run ../r --data d.zarr --init last --hours 1 --output o.zarr"
    ),
    "forecast": Kind(subject="f.zarr", command="inspect f.zarr --deep --json", share=4),
    "forecast, NetCDF": Kind(subject="f.nc", command="inspect f.nc --json", share=4),
    "forecast to score": Kind(subject="f.zarr", command="f.zarr ../d.zarr", entry=f"{ENTRIES}read_forecast", share=4),
    "forecast of others": Kind(
        subject="theirs.nc", command="theirs.nc ../d.zarr", entry=f"{ENTRIES}read_forecast", share=4
    ),
    "forecast to evaluate": Kind(subject="f.zarr", command="evaluate f.zarr --truth ../d.zarr --output ev"),
    "run": Kind(subject="r", files="*.*", command="inspect r --json", share=4),
    "training curves": Kind(subject="r", files="metrics.jsonl", command="r p.svg", entry=f"{ENTRIES}draw_curves"),
    "checkpoint": Kind(
        subject="r", files="checkpoints/best/*", command="export --run r --data ../d.zarr --output b.safetensors",
    ),
    "checkpoint, hashed again": Kind(
        subject="r", files="checkpoints/step-6/[!c]*", command="r", entry=f"{ENTRIES}load_latest", share=6,
        again=lambda file: listed(file.with_name("complete.json")),
    ),
    "configuration, hashed again": Kind(
        subject="r", files="config.yaml", command="r", entry=f"{ENTRIES}load_model", share=4,
        again=lambda file: listed(file.with_name("data.json"), (file.name,)),
    ),
    "run to forecast with": Kind(subject="r", command=f"rollout --run r {CASES} --output o.zarr"),
    "bundle": Kind(subject="b.safetensors", command="inspect b.safetensors --json", share=4),
    "configuration": Kind(
        subject="c.yaml", command="train --config c.yaml --data absent.zarr --run x --device cpu", share=6
    ),
}  # fmt: skip


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
    if kind.again:
        kind.again(target)
    words = ", ".join(each.__name__ for each in applied)
    where = f"{name} {seed}: {words} in {chosen.relative_to(sound)}"
    return Case(name=where, folder=str(folder), arguments=kind.command.split(), entry=kind.entry)


def outcomes(wml: Commands, sound: Path, name: str, trials: int) -> Iterator[Outcome]:
    """How so many mutated inputs of a kind end."""
    seeds = iter(range(trials))
    while numbers := list(islice(seeds, BATCH)):
        yield from ends(wml, [spoilt(KINDS[name], name, seed, sound) for seed in numbers])
        for seed in numbers:
            shutil.rmtree(sound / f"{seed}")


@pytest.mark.parametrize("trials", [1000, pytest.param(10000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_a_line(wml: Commands, sound: Path, name: str, trials: int) -> None:
    kind = KINDS[name]
    count = trials * kind.share // sum(each.share for each in KINDS.values())
    assert count >= 10
    found = list(outcomes(wml, sound, name, count))
    assert len(found) == count
    died = [each for each in found if kind.mortal and each.code < 0 and each.code != -signal.SIGPROF]
    assert [each.fault for each in found if each.fault and each not in died] == []


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
