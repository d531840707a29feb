"""Peak memory and work of a full-CONUS training step at each level of checkpointing.

    python benchmarks/memory.py              # a few minutes: tensors without data
    python benchmarks/memory.py --check      # 200 real steps of a small network at each level: the losses agree
    python benchmarks/memory.py --device cuda

The step is written out here, apart from `wml plan`'s: model, weather loss, clipped gradients, AdamW, moving average.
Its peak is what torch's MemTracker sees. `ours` is the thriftiest peak in GiB, `limit` 1.0, `ratio` limit over ours;
`levels` holds for each level the peak, what `wml plan` says, its operations over those of the plain step, and on a GPU
the allocator's peak and the time over the plain step's.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from weatherml.fields import Batch, Shape
from weatherml.losses import LOSSES
from weatherml.losses.base import Weights
from weatherml.models import MODELS
from weatherml.models.base import ModelConfig
from weatherml.nn.recompute import Checkpointing, set_checkpointing
from weatherml.train.planning.plan import plan
from weatherml.train.planning.step import StepSettings

GIB = 2**30
LIMIT_GIB = 1.0
CONUS = Shape(channels=7, forcing=5, static=2, height=1059, width=1799, delta_std=(1.0,) * 7)
SMALL = Shape(channels=2, forcing=1, static=1, height=32, width=32, delta_std=(0.5, 0.5))
LEVELS: tuple[Checkpointing, ...] = get_args(Checkpointing)


def configured(norm: str, features: int) -> ModelConfig:
    """The model's parameters."""
    return MODELS["unet-residual"].model_validate({"norm": norm, "base_features": features})


def build_model(shape: Shape, norm: str, features: int, device: str) -> Any:
    """The model on the device, channels-last on a GPU."""
    with torch.device(device):
        model: Any = configured(norm, features).build(shape)
    return model.to(memory_format=torch.channels_last) if device == "cuda" else model


class Step(torch.nn.Module):
    """A training step in bfloat16, as a module so that the tracker allows the modules within to be called twice."""

    def __init__(self, shape: Shape, level: Checkpointing, *, norm: str, features: int, device: str) -> None:
        super().__init__()
        self.device, self.model = device, build_model(shape, norm, features, device)
        with torch.device(device):
            scale = torch.tensor(shape.delta_std)
            weights = Weights(scale=scale, variable=torch.ones_like(scale), rows=torch.ones(shape.height))
            self.loss = LOSSES["weather"]().build(weights)
        set_checkpointing(self.model, level)
        set_checkpointing(self.loss, level)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)

    def forward(self, batch: Batch) -> Tensor:
        """The loss."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.training):
            out: Tensor = self.model.objective(batch, self.loss)
        return out

    def take(self, batch: Batch) -> Tensor:
        """One step of the optimizer and the average."""
        loss: Tensor = self(batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            for mine, its in zip(self.average, self.model.parameters(), strict=True):
                mine.lerp_(its, 0.01)
        return loss.detach()


def noise(shape: Shape, device: str) -> Batch:
    """A case."""
    states = partial(torch.randn, device=device)
    grid = (shape.height, shape.width)
    return Batch(
        history=states(1, shape.history, shape.channels, *grid),
        forcing=states(1, shape.lead, shape.forcing, *grid),
        static=states(shape.static, *grid),
        valid_time=torch.zeros(1, shape.lead, dtype=torch.int64, device=device),
        target=states(1, shape.lead, shape.channels, *grid),
        mask=torch.ones(1, shape.lead, shape.channels, *grid, dtype=torch.bool, device=device),
    )


def tracked(level: Checkpointing, norm: str) -> tuple[int, int]:
    """Peak bytes and operations of a step on tensors without data."""
    with FakeTensorMode():
        step, batch = Step(CONUS, level, norm=norm, features=40, device="cpu"), noise(CONUS, "cpu")
        with FlopCounterMode(display=False) as counter:
            step.take(batch)
        tracker = MemTracker()
        tracker.track_external(step, step.optimizer, *step.average, *vars(batch).values())
        with tracker:
            step.take(batch)
    peak = sum(device["Total"] for device in tracker.get_tracker_snapshot("peak").values())
    return peak, int(counter.get_total_flops())


def measured(level: Checkpointing, norm: str, *, repeats: int = 5) -> tuple[int, float]:
    """The allocator's peak and the least seconds of a step on a GPU."""
    step, batch = Step(CONUS, level, norm=norm, features=40, device="cuda"), noise(CONUS, "cuda")
    seconds = []
    for _ in range(2 + repeats):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        step.take(batch)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return torch.cuda.max_memory_allocated(), min(seconds)


def final_loss(level: Checkpointing, *, steps: int) -> float:
    """The mean loss of the last 20 steps of training on smooth fields that drift, in float32."""
    torch.manual_seed(0)
    step = Step(SMALL, level, norm="point", features=8, device="cpu").eval()
    waves = torch.nn.functional.avg_pool2d(torch.randn(64, 2, 40, 40), 9, stride=1).mul(9)
    losses = []
    for number in range(steps):
        batch = noise(SMALL, "cpu")
        state = waves[number % len(waves)][None, None]
        batch.history.copy_(state)
        assert batch.target is not None
        batch.target.copy_(state.roll(1, -1))
        losses.append(float(step.take(batch)))
    return sum(losses[-20:]) / 20


def planned(level: Checkpointing, norm: str) -> int:
    """What `wml plan` says of the same step."""
    model = configured(norm, 40)
    settings = StepSettings(precision="bf16", checkpointing=level)
    return plan(model, CONUS, loss=LOSSES["weather"](), settings=settings).train_peak_bytes


def level_of(level: Checkpointing, norm: str, device: str) -> dict[str, Any]:
    """All that is known of a level."""
    peak, operations = tracked(level, norm)
    found = {"peak_gib": peak / GIB, "plan_gib": planned(level, norm) / GIB, "operations": operations}
    if device == "cuda":
        allocated, seconds = measured(level, norm)
        found |= {"cuda_gib": allocated / GIB, "seconds": seconds}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--norm", default="point", help="model.norm; tiles need point or none")
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--check", action="store_true", help="losses after 200 steps instead of memory")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    if options.check:
        losses = {level: final_loss(level, steps=options.steps) for level in options.levels}
        off = max(abs(loss / losses["none"] - 1) for loss in losses.values())
        print(json.dumps({"ours": off, "limit": 0.02, "ratio": 0.02 / max(off, 1e-12), "losses": losses}))
        return
    levels = {level: level_of(level, options.norm, options.device) for level in options.levels}
    ours = min(found["peak_gib"] for found in levels.values())
    print(json.dumps({"ours": ours, "limit": LIMIT_GIB, "ratio": LIMIT_GIB / ours, "levels": levels}))


if __name__ == "__main__":
    main()
