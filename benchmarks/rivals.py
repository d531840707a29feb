"""Our U-Net beside diffusers' `UNet2DModel` and physicsnemo's `SongUNet`: time and memory to the same validation loss.

    python benchmarks/train_step.py --rivals

The rivals are installed into `--work`/rivals at the first call, without what they depend on and do not need here.
All contenders get the same inputs and have the same meaning of their output (the change of the state in units of its
standard deviation), data (the synthetic world, 64 x 64, in the same order), batch, loss, precision, optimizer, learning
rate, clipping and moving average of weights; all are channels-last. The rate is constant after a warm-up, so that a
curve means the same at any time and none is favoured by the length of a cosine. Every contender trains in three
widths for the same seconds (of processors on a CPU) of its optimizer steps, without loading and validation; the loss on
64 windows of the validation part is that of the averaged weights. The loss to reach is the least that a rival reached,
its time that of the faster rival at its best width. `ours` is our time to it, `rival` theirs, and
`ratio` 0.6 times rival over ours; memory is the peak of one step's tensors, asked at half of that rival's.
"""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker

from benchmarks.tool import wml
from benchmarks.train_step import Step, clock, device_name
from weatherml.config import parse
from weatherml.data.known import KnownFields
from weatherml.data.loader import Loader
from weatherml.data.store import open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.data.windows import evenly
from weatherml.fields import Batch, Shape
from weatherml.models.base import Model
from weatherml.models.prediction import Change, ChangeModel
from weatherml.nn.inputs import StackedInputs
from weatherml.run.directory import lineage_of
from weatherml.run.experiment import Experiment
from weatherml.train.objective import build_loss
from weatherml.train.optimizer import MovingAverage

PACKAGES = (
    "diffusers==0.42.1",
    "nvidia-physicsnemo==2.2.2",
    # what physicsnemo imports before its U-Net
    "aiobotocore==3.10.0",
    "aioitertools==0.13.0",
    "botocore==1.44.5",
    "einops==0.8.2",
    "jmespath==1.1.0",
    "nvtx==0.2.17",
    "omegaconf==2.4.0",
    "pyvers==0.2.3",
    "s3fs==2026.9.0",
    "tensordict==0.15.3",
    "timm==1.0.31",
    "torchvision==0.28.0",
    "warp-lang==1.19.0",
    "wrapt==2.5.2",
)
WIDTHS = {"ours": (16, 24, 32), "diffusers": (16, 32, 48), "physicsnemo": (16, 24, 32)}
BATCH, WARMUP, CASES = 8, 50, 64
TIME_ASKED, MEMORY_ASKED = 0.6, 0.5
SETTINGS: dict[str, Any] = {
    "model": {"kind": "unet-residual", "depth": 2, "blocks": 1, "multipliers": [1, 2, 3]},  # as configs/synthetic.yaml
    "loss": "weather",
    "train": {"batch": BATCH, "lr": 1e-3, "ema": 0.98},
}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How one contender of one width learnt.

    Attributes:
        name: the contender.
        width: channels of its first level.
        parameters: its numbers.
        peak_bytes: of the tensors of one step.
        points: seconds of training and validation loss, in order.
    """

    name: str
    width: int
    parameters: int
    peak_bytes: int
    points: tuple[tuple[float, float], ...]

    @property
    def least(self) -> float:
        """The best loss."""
        return min(loss for _, loss in self.points)

    def reached(self, target: float) -> float:
        """Seconds to a loss, between two points on the line through them; infinite where it was never reached."""
        before = self.points[0]
        for after in self.points:
            if after[1] <= target:
                share = 1.0 if before[1] == after[1] else (before[1] - target) / (before[1] - after[1])
                return before[0] + share * (after[0] - before[0])
            before = after
        return math.inf

    def table(self) -> dict[str, Any]:
        """Plain types."""
        points = [(round(seconds, 1), round(loss, 5)) for seconds, loss in self.points]
        return {"parameters": self.parameters, "peak_mib": round(self.peak_bytes / 2**20, 1), "points": points}


@dataclass(frozen=True, kw_only=True)
class World:
    """The data that all learn from.

    Attributes:
        experiment: loss and training.
        shape: of a case.
        loader: training batches.
        held_out: validation batches.
        loss: for both.
    """

    experiment: Experiment
    shape: Shape
    loader: Loader
    held_out: tuple[Batch, ...]
    loss: Any

    @classmethod
    def prepared(cls, work: Path, device: torch.device) -> World:
        """The synthetic world, made once."""
        path = work / "synthetic.zarr"
        if not path.exists():
            wml("prepare", "synthetic", "--output", path)
        dataset, experiment = open_dataset(path), parse(Experiment, SETTINGS)
        lineage = lineage_of(dataset)
        normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics).to(device)
        around = {
            "normaliser": normaliser,
            "known": KnownFields(dataset, device),
            "batch": BATCH,
            "seed": 0,
        }
        held_out = Loader(dataset, "validation", experiment.data, **around)
        cases = evenly(held_out.initial, CASES)
        return cls(
            experiment=experiment,
            shape=lineage.model_shape(experiment),
            loader=Loader(dataset, "train", experiment.data, **around),
            held_out=tuple(held_out.cases(cases[first : first + BATCH]) for first in range(0, len(cases), BATCH)),
            loss=build_loss(experiment, dataset, normaliser).to(device),
        )


class Timeless(nn.Module):
    """A network that also asks for a time step, which a forecast does not have: 0."""

    def __init__(self, network: nn.Module, call: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return self.call(self.network, x, x.new_zeros(len(x)))


def ours(world: World, width: int) -> Model:
    """The shipped model at another width."""
    return world.experiment.model.model_copy(update={"base_features": width}).build(world.shape)


def diffusers(world: World, width: int) -> Model:
    """Two layers a block, four levels widening as by default, attention at the second lowest, as in its examples."""
    from diffusers import UNet2DModel  # noqa: PLC0415 - it comes with the benchmark

    plain = ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D")
    network = UNet2DModel(
        sample_size=world.shape.height,
        in_channels=world.shape.inputs,
        out_channels=world.shape.channels,
        layers_per_block=2,
        block_out_channels=[width, 2 * width, 3 * width, 4 * width],
        down_block_types=plain,
        up_block_types=[name.replace("Down", "Up") for name in reversed(plain)],
        norm_num_groups=8,
    )
    nn.init.zeros_(network.conv_out.weight)  # persistence at first, as ours and, nearly, SongUNet
    return changing(world, Timeless(network, lambda network, x, time: network(x, time).sample))


def physicsnemo(world: World, width: int) -> Model:
    """Without noise to be told, as the regression network of StormCast; else by default, without dropout."""
    from physicsnemo.models.diffusion_unets import SongUNet  # noqa: PLC0415 - it comes with the benchmark

    network = SongUNet(
        img_resolution=[world.shape.height, world.shape.width],
        in_channels=world.shape.inputs,
        out_channels=world.shape.channels,
        model_channels=width,
        embedding_type="zero",
        dropout=0.0,
        attn_resolutions=[],
    )
    return changing(world, Timeless(network, lambda network, x, time: network(x, time, None)))


def changing(world: World, network: nn.Module) -> Model:
    """A rival's network with our inputs, its output the change."""
    return ChangeModel(network, Change(world.shape), inputs=StackedInputs(world.shape))


CONTENDERS: dict[str, Callable[[World, int], Model]] = {
    "ours": ours,
    "diffusers": diffusers,
    "physicsnemo": physicsnemo,
}


def install(target: Path) -> None:
    """Put the rivals on the path, behind what is there."""
    stamp = target / "installed.txt"
    wanted = "\n".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != wanted:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(target))
        subprocess.run([*pip, *PACKAGES], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    sys.path.append(str(target))
    if not torch.cuda.is_available():  # torchvision's operators need CUDA; its import wants to find two of their names
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def compare(work: Path, *, seconds: float, device: torch.device) -> dict[str, Any]:
    """Train all, and say how long each took to the best rival's loss."""
    work.mkdir(parents=True, exist_ok=True)
    install(work / "rivals")
    world = World.prepared(work, device)
    curves = list(train_all(world, seconds, device))
    rivals = [curve for curve in curves if curve.name != "ours"]
    target = min(curve.least for curve in rivals)
    rival = min(rivals, key=lambda curve: curve.reached(target))
    mine = min((curve for curve in curves if curve.name == "ours"), key=lambda curve: curve.reached(target))
    return {
        "benchmark": "train_step --rivals",
        "device": device_name(device),
        "seconds_each": seconds,
        "curves": {f"{curve.name}-{curve.width}": curve.table() for curve in curves},
        "loss": round(target, 5),
        "fastest_rival": f"{rival.name}-{rival.width}",
        "our_width": mine.width,
        "time_share": round(mine.reached(target) / rival.reached(target), 3),
        "memory_share": round(mine.peak_bytes / rival.peak_bytes, 3),
        "asked": {"time_share": TIME_ASKED, "memory_share": MEMORY_ASKED},
        "ours": round(mine.reached(target), 2),
        "rival": round(rival.reached(target), 2),
        "ratio": round(TIME_ASKED * rival.reached(target) / mine.reached(target), 3),
    }


def train_all(world: World, seconds: float, device: torch.device) -> Iterator[Curve]:
    """The curve of every contender at every width."""
    for name, build in CONTENDERS.items():
        for width in WIDTHS[name]:
            torch.manual_seed(0)
            model: Any = build(world, width)
            curve = learn(world, model.to(device, memory_format=torch.channels_last), seconds, device)
            yield Curve(name=name, width=width, **curve)
            logger.warning("%s-%d: loss %.5f", name, width, min(loss for _, loss in curve["points"]))


def learn(world: World, model: Model, seconds: float, device: torch.device) -> dict[str, Any]:
    """Train for some seconds, with a validation every twentieth of them."""
    config = world.experiment.train
    step, average = Step(model, world.loss, config, device), MovingAverage(model, config.ema)
    peak = peak_bytes(step, world.loader.load(0))
    now, spent, number, due = clock(device), 0.0, 0, 0.0
    points = []
    while spent < seconds:
        batch = world.loader.load(number)
        for group in step.optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (number + 1) / WARMUP)
        began = now()
        step(batch)
        average.update(model, number)
        spent, number = spent + now() - began, number + 1
        if spent >= due:
            points.append((spent, validation_loss(world, average.model, step.autocast)))
            due += seconds / 20
    return {"parameters": sum(p.numel() for p in model.parameters()), "peak_bytes": peak, "points": tuple(points)}


@torch.no_grad()
def validation_loss(world: World, model: Model, autocast: torch.autocast) -> float:
    """The mean loss of the validation windows."""
    with autocast:
        losses = [model.objective(batch, world.loss) for batch in world.held_out]
    return float(torch.stack(losses).mean())


def peak_bytes(step: Step, batch: Batch) -> int:
    """The most that the tensors of one step hold, found with gradients and optimizer state in place; a warm-up step."""
    for group in step.optimizer.param_groups:
        group["lr"] = 0.0
    step(batch)
    tracker = MemTracker()
    tracker.track_external(step.model, step.loss, step.optimizer, *(t for t in vars(batch).values() if t is not None))
    with tracker:
        step(batch)
    return sum(snapshot["Total"] for snapshot in tracker.get_tracker_snapshot("peak").values())
