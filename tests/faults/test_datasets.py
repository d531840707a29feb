"""A dataset that is damaged, in another order or on another grid: named and refused, or read by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.commands import refused, wml
from tests.faults.outputs import COMMANDS, INPUTS, WORLD, content
from weatherml.fields import Batch
from weatherml.train.trainer import Trainer

READERS = ("train", "rollout", "ensemble", "evaluate")
OTHERS = {
    "shifted": "--set width=20 --set region.columns=[3,19]",
    "permuted": "--set stored=[t2m,refc]",
}
INDEX = 16 * 24 + 4
"""Bytes at a shard's end that say where its 24 hours lie, with their checksum."""


@pytest.fixture(autouse=True)
def _elsewhere(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a copy of the dataset, and links to the run and the forecast."""
    shutil.copytree(world / "d.zarr", tmp_path / "d.zarr")
    for name in INPUTS[1:]:
        (tmp_path / name).symlink_to(world / name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world one column further east, and with its channels in another order."""
    folder = tmp_path_factory.mktemp("others")
    for name, settings in OTHERS.items():
        code, _, stderr = wml("prepare", "synthetic", "--output", folder / name, *WORLD.split(), *settings.split())
        assert code == 0, stderr
    return folder


def replace(dataset: Path) -> None:
    """Put another dataset in the place of the first."""
    shutil.rmtree("d.zarr")
    Path("d.zarr").symlink_to(dataset)


def command(name: str) -> list[str]:
    """A command that reads the dataset, the run and the forecast; what it writes is new."""
    line, output = COMMANDS[name]
    return [f"new-{word}" if word == output else word for word in line.split()]


def flip(shard: Path) -> None:
    """Break every chunk."""
    chunks, index = shard.read_bytes()[:-INDEX], shard.read_bytes()[-INDEX:]
    shard.write_bytes(bytes(byte ^ 1 for byte in chunks) + index)


@pytest.mark.parametrize("spoil", [flip, Path.unlink])
@pytest.mark.parametrize("name", READERS)
def test_a_broken_shard_ends_the_command_and_is_named(name: str, spoil: Callable[[Path], None]) -> None:
    for shard in Path("d.zarr/t2m/c").glob("*/0/0"):
        spoil(shard)
    refused(65, "t2m at 2024-06-0", *command(name))


@pytest.mark.parametrize("name", READERS)
def test_a_shifted_grid_is_refused_with_the_difference(name: str, others: Path) -> None:
    replace(others / "shifted")
    line = COMMANDS["train"][0].split() if name == "train" else command(name)  # the run that is there
    words = "x begins at" if name == "evaluate" else "d.zarr: grid is "
    refused(65, words, *line)


def result(name: str) -> object:
    """What a command makes of the dataset."""
    output = Path(f"new-{COMMANDS[name][1]}")
    code, _, stderr = wml(*command(name))
    assert code == 0, stderr
    found = dict(content(output))
    shutil.rmtree(output)
    return found["scores.json"] if name == "evaluate" else found


@pytest.mark.parametrize("name", READERS[1:])
def test_channels_in_another_order_are_bound_by_name(name: str, others: Path) -> None:
    expected = content(Path("f.zarr")) if name == "rollout" else result(name)
    replace(others / "permuted")
    assert result(name) == expected


def test_a_run_goes_on_by_its_own_order(others: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Trainer.train_step

    def interrupted(self: Trainer, batches: Iterator[Batch]) -> None:
        take(self, batches)
        if self.progress.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        assert wml(*command("train"))[0] == 130
    replace(others / "permuted")
    assert result("train") == content(Path("r"))
