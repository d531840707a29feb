"""The processes that train together, and Lightning Fabric between them.

The same command trains on one device, or under `torchrun` or SLURM's `srun` in as many processes as they start.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from weatherml.errors import ConfigError
from weatherml.nn.blocks import Block
from weatherml.run.device import pick_precision
from weatherml.run.experiment import StrategyKind, TrainConfig

PATIENCE = timedelta(hours=1)
"""For a process that validates or calibrates while the others wait."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """How many there are.

    Attributes:
        size: all.
        local: on this machine, a device each.
        rank: of this one; the first, 0, writes and speaks.
    """

    size: int = 1
    local: int = 1
    rank: int = 0


def started(environment: Mapping[str, str] | None = None) -> Processes:
    """The processes that `torchrun` or `srun` started, by what they say in the environment; one where neither did."""
    environment = os.environ if environment is None else environment
    if "TORCHELASTIC_RUN_ID" in environment:
        size, local, rank = (int(environment[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"))
        return Processes(size=size, local=local, rank=rank)
    if "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:  # in a step of srun's, not in the script
        size, nodes, rank = (int(environment[f"SLURM_{name}"]) for name in ("NTASKS", "NNODES", "PROCID"))
        return Processes(size=size, local=size // nodes, rank=rank)
    return Processes()


def build_fabric(config: TrainConfig, device: torch.device) -> Fabric:
    """Fabric on `device`, joined to the other processes where there are any.

    Raises:
        ConfigError: `fsdp` with one process.
    """
    processes = started()
    if processes.size == 1:
        if config.strategy == "fsdp":
            raise ConfigError("train.strategy: fsdp shards over processes; start several with torchrun or srun")
        return Fabric(accelerator=device.type, devices=1, precision=pick_precision(config.precision, device))
    fabric = Fabric(
        accelerator=device.type,
        devices=processes.local,
        num_nodes=processes.size // processes.local,
        strategy=_strategy(config.strategy, processes),
        precision=pick_precision(config.precision, device),
    )
    fabric.launch()
    if processes.rank > 0:
        logging.getLogger("weatherml").setLevel(logging.ERROR)  # the first speaks for all
    return fabric


def _strategy(kind: StrategyKind, processes: Processes) -> Strategy:
    if kind == "fsdp":
        return ModelParallelStrategy(
            _shard, data_parallel_size=processes.size, tensor_parallel_size=1, timeout=PATIENCE
        )
    return DDPStrategy(timeout=PATIENCE)


def _shard(model: nn.Module, mesh: Any) -> nn.Module:
    """Each block's weights over all processes, and what remains; gathered when they are needed (FSDP2)."""
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # warns of in-place changes; there are none
    for module in model.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh["data_parallel"])
    fully_shard(model, mesh=mesh["data_parallel"])
    return model


def whole(value: Any) -> Any:
    """A state with every tensor that is spread over processes put together; all of them must take part."""
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def spread_like(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor spread over the processes as `like` is, if it is and has the same shape."""
    if isinstance(like, DTensor) and value.shape == like.shape:
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return value
