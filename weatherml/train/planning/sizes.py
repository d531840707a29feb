"""Sizes as people write them, and what a model meets where no dataset is named."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.data.windows import windows
from weatherml.errors import UsageError
from weatherml.fields import Shape
from weatherml.run.experiment import Experiment
from weatherml.train.planning.search import Budget

UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
CONUS = (1059, 1799)
HRRR_CHANNELS = 7
FORTNIGHT = 14 * 24
"""Hourly cases of 14 days, for plans without a dataset."""
MEMINFO = Path("/proc/meminfo")


def default_shape(experiment: Experiment, *, grid: tuple[int, int] | None, channels: int | None) -> Shape:
    """What a model meets on HRRR: full CONUS, seven channels, sun and clock, terrain and coast."""
    names = experiment.data.variables
    height, width = grid or CONUS
    count = channels or (len(names) if names else HRRR_CHANNELS)
    return Shape(
        channels=count,
        history=experiment.data.history,
        lead=experiment.data.lead,
        forcing=5,
        static=2,
        height=height,
        width=width,
        delta_std=(1.0,) * count,
    )


def training_cases(dataset: Dataset | SequenceDataset, experiment: Experiment) -> int:
    """Cases of a pass over the training part."""
    data = experiment.data
    if isinstance(dataset, SequenceDataset):
        found = len(dataset.samples("train"))
        return min(found, data.epoch_cases or found)
    return len(windows(dataset, "train", history=data.history, lead=data.lead * experiment.train.horizon))


def free_memory(device: torch.device) -> Budget:
    """What is free for tensors now."""
    if device.type == "cuda":
        return Budget(size=torch.cuda.mem_get_info()[0], name="the card's free memory")
    sizes = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
    return Budget(size=1024 * int(sizes["MemAvailable"].split()[0]), name="this machine's free memory")


def parse_size(text: str) -> int:
    """Bytes from `24GiB`, `800 MB`, `1e9`.

    Raises:
        UsageError: not a size.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?(?:e[0-9]{1,2})?)\s*([a-zA-Z]*)", text.strip())
    if match is None or match[2].upper() not in UNITS:
        raise UsageError(f"{text}: not a size; write for example 24GiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def parse_grid(text: str) -> tuple[int, int]:
    """Rows and columns from `1059x1799`.

    Raises:
        UsageError: not a grid.
    """
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text.strip())
    if match is None:
        raise UsageError(f"--grid {text}: not ROWSxCOLUMNS; write for example 1059x1799")
    return int(match[1]), int(match[2])
