"""The commands that write, and what an output of theirs holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from weatherml import seal

WORLD = "--set hours=60 --set height=16 --set width=16 --set stored=[refc,t2m]"
MODEL = "--model crps --set model.base_features=4 --set model.depth=1"
OFTEN = "--set train.validation.every=3 --set train.checkpoint_minutes=0.0001"
CASES = "--run r --data d.zarr --init 2024-06-03T02:00 --hours 2"
COMMANDS = {
    "prepare": (f"prepare synthetic --output d.zarr {WORLD}", "d.zarr"),
    "train": (f"train --data d.zarr --run r --steps 6 --device cpu {MODEL} {OFTEN}", "r"),
    "rollout": (f"rollout {CASES} --output f.zarr", "f.zarr"),
    "netcdf": (f"rollout {CASES} --output f.nc", "f.nc"),
    "ensemble": (f"ensemble {CASES} --members 2 --output e.zarr", "e.zarr"),
    "evaluate": ("evaluate f.zarr --truth d.zarr --baseline persistence --output ev", "ev"),
}
"""By name a command, and its output."""
INPUTS = ("d.zarr", "r", "f.zarr")
WALL_CLOCK = ("environment.json", "log.txt", "status.json", "tensorboard")
"""Of a run: what tells when and where it was made."""
UNFINISHED = ".parts.partial"
"""Beside scores: what the next try goes on from."""


def furnished(folder: Path, world: Path, *, without: str) -> Path:
    """A new folder with what a command needs, by links, but not what it makes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in INPUTS:
        if name != without and (world / name).exists():
            (folder / name).symlink_to(world / name)
    return folder


def finished(output: Path) -> bool:
    """Whether an output says that it is whole."""
    marker = output / {"r": "status.json", "ev": "scores.json"}.get(output.name, "")
    said = marker.exists() and (output.name != "r" or json.loads(marker.read_text())["state"] == "finished")
    return bool(said)


def content(output: Path) -> Mapping[str, object]:
    """What an output holds, but the time at which it was made."""
    if output.suffix == ".nc":
        return {"dataset": xr.load_dataset(output, engine="netcdf4", decode_timedelta=False).to_dict()}
    files = {path.relative_to(output).as_posix(): path for path in output.rglob("*") if path.is_file()}
    return {
        name: _without_clock(path)
        for name, path in files.items()
        if name.split("/")[0] not in (*WALL_CLOCK, UNFINISHED)
        and path.suffix not in (".nc", ".html", ".lock", ".holder")
    }


def _without_clock(path: Path) -> object:
    """The bytes of a file; of the scores all but when they were made, and what vouches for that."""
    if path.name == "scores.json":
        scores = seal.content(json.loads(path.read_text()))
        return {**scores, "metadata": {**scores["metadata"], "created": None}}
    return path.read_bytes()


def litter(folder: Path) -> set[str]:
    """Hidden files: a finished command leaves none."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob(".*")}
