"""Every command that writes, those on sequences and blends of runs too, to be run in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.data.sequences.toy import Toy
from tests.faults.outputs import CASES, COMMANDS, INPUTS, MODEL
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.forecast.predict import predict
from weatherml.run.experiment import resolve
from weatherml.sources import SOURCES
from weatherml.train.trainer import train

BRIEF = ("model.base_features=8", "model.blocks=1", "train.steps=2", "train.precision=32-true")
BRIEFLY = " ".join(f"--set {setting}" for setting in BRIEF)
WRITERS = COMMANDS | {
    "rate": (f"train --find-lr --data d.zarr --run lr {MODEL}", "lr"),
    "blend": (f"ensemble --run r2 {CASES} --members 4 --output bl.zarr", "bl.zarr"),
    "bundle": ("export --run r --output b.safetensors", "b.safetensors"),
    "program": ("export --run r --format torch --output b.pt2", "b.pt2"),
    "sequences": ("prepare toy --output s2.zarr", "s2.zarr"),
    "emulator": (f"train --model simple-cnn --data s.zarr --run s2 {BRIEFLY}", "s2"),
    "predictions": ("rollout --run s --data s.zarr --output p2.nc", "p2.nc"),
    "blended predictions": ("ensemble --run s --run t --data s.zarr --output q.nc", "q.nc"),
    "scored predictions": ("evaluate p.nc --truth s.zarr --output ev2", "ev2"),
}
"""By name a command, and its output; the inputs are those that `make_inputs` makes."""


def words(name: str, folder: str | Path) -> list[str]:
    """A command as it is typed, with its output in a folder."""
    command, output = WRITERS[name]
    return [str(Path(folder, word)) if word == output else word for word in command.split()]


def make_inputs(world: Path, folder: Path) -> Path:
    """A small world, a second run of it, sequences, and two runs of these with one's predictions."""
    for name in INPUTS:
        (folder / name).symlink_to(world / name)
    shutil.copytree(world / "r", folder / "r2")
    prepare_sequences(Toy(), [], folder / "s.zarr")
    for seed, name in enumerate(("s", "t")):
        experiment = resolve(None, model="simple-cnn", assignments=[*BRIEF, f"train.seed={seed}"])
        train(experiment, folder / "s.zarr", folder / name, device="cpu")
    predict(folder / "s", folder / "s.zarr", output=folder / "p.nc", device="cpu")
    return folder


def register_toy() -> None:
    """Make `toy` the name of a source of sequences."""
    SOURCES.register("toy")(type("toy", (Toy,), {"__doc__": "A toy.", "__module__": __name__}))
