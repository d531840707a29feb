"""What needs a CUDA GPU: `scripts/gpu_check.sh` runs it, elsewhere the tests skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from weatherml.config import parse, parse_member
from weatherml.data.prepare import prepare
from weatherml.run.directory import Run
from weatherml.run.experiment import Experiment
from weatherml.sources import SOURCES
from weatherml.train.trainer import train

SIZE = 512


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Multiply in float32 where float32 is asked for."""
    torch.cuda.empty_cache()
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


@pytest.fixture(scope="session")
def large_dataset(write_netcdf: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours of 512 x 512 points, all for training."""
    folder = tmp_path_factory.mktemp("large")
    world = write_netcdf(folder / "large.nc", hours=6, shape=(SIZE, SIZE))
    settings = {"split": {"validation": 0, "test": 0, "gap_hours": 0}}
    source = parse_member(SOURCES, {"kind": "netcdf", **settings}, at="source")
    return prepare(source, [str(world)], folder / "large.zarr").path


@pytest.fixture(scope="session")
def learned(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network after a few steps."""
    return trained("unet-residual", small_dataset, tmp_path_factory.mktemp("runs") / "learned")


@pytest.fixture(scope="session")
def generative(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that draws members in one call."""
    return trained("crps", small_dataset, tmp_path_factory.mktemp("runs") / "generative")


def trained(kind: str, data: Path, path: Path) -> Run:
    """A run on the CPU."""
    settings = {
        "model": {"kind": kind, "base_features": 8, "depth": 1, "blocks": 1},
        "train": {"steps": 5, "batch": 2, "precision": "32-true"},
    }
    return train(parse(Experiment, settings), data, path, device="cpu")
