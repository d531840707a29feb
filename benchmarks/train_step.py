"""What share of the rate of a matrix product a training step and a forecast step reach, and how rivals compare.

    python benchmarks/train_step.py              # the shares, at 256 x 256 with 40 base features
    python benchmarks/train_step.py --rivals     # time to the same validation loss; see benchmarks/rivals.py

A `unet-residual` of 40 base features works on random fields of seven channels: the model's own objective, backward
pass, clipping and the fused optimizer; and a forecast step. The operations are those that torch's counter finds, the
rate is that of a product of two 2048 x 2048 matrices in the same process and precision, bfloat16 where the device
computes in it, else float32. Product and steps are timed in turn and each has its best time (of processors on a
CPU). Asked are 65 % in training and 80 % in forecasting on a CPU, 40 % and 50 % on a GPU: `ours` is the share of the
one that is farther from it, `limit` what is asked, `ratio` ours over limit.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.segment_inference import MATRIX
from weatherml.fields import Batch, Fields, Shape
from weatherml.losses import LOSSES
from weatherml.losses.base import LossModule, Weights
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.run.device import memory_format, natively_bf16, pick_device
from weatherml.run.experiment import TrainConfig
from weatherml.train.objective import follow
from weatherml.train.optimizer import build_optimizer

CHANNELS, FORCING, STATIC = 7, 5, 2
ASKED = {"cpu": {"training": 0.65, "inference": 0.80}, "cuda": {"training": 0.40, "inference": 0.50}}
BATCHES = {"cpu": (1, 2), "cuda": (4, 16, 32)}


class Step:
    """The optimizer step of a run, on one batch, as often as it is called."""

    def __init__(self, model: Model, loss: LossModule, config: TrainConfig, device: torch.device) -> None:
        self.model, self.loss, self.clip = model, loss, config.clip
        self.optimizer = build_optimizer(model, config)
        self.autocast = autocast(device)

    def __call__(self, batch: Batch) -> Tensor:
        """Take the step; the loss before it."""
        loss = self.backward(batch)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def backward(self, batch: Batch) -> Tensor:
        """The loss, its gradients left in the weights."""
        with self.autocast:
            loss = follow(self.model, batch, self.loss, horizon=1, lead=batch.forcing.shape[1], bounded=_as_they_are)
        loss.backward()
        return loss.detach()


def _as_they_are(states: Fields) -> Fields:
    return states


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes in it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=natively_bf16(device))


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds: of processors on a CPU, where other work counts for nothing; of the clock on a GPU, its work done."""
    if device.type == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def in_turn(runs: Mapping[str, Callable[[], object]], device: torch.device, repeats: int) -> dict[str, float]:
    """The least seconds of a call of each; they take turns, since clock rates and neighbours change."""
    now, best = clock(device), dict.fromkeys(runs, math.inf)
    for _ in range(repeats + 1):  # once more than asked: memory is claimed and kernels are chosen in the first round
        for name, run in runs.items():
            began = now()
            run()
            best[name] = min(best[name], now() - began)
    return best


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of a call, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def random_batch(cases: int, size: int, device: torch.device) -> Batch:
    """A batch of the kind that HRRR gives, on a square of `size` points."""
    history = torch.randn(cases, 1, CHANNELS, size, size, device=device)
    return Batch(
        history=history,
        forcing=torch.randn(cases, 1, FORCING, size, size, device=device),
        static=torch.randn(STATIC, size, size, device=device),
        valid_time=torch.zeros(cases, 1, dtype=torch.int64, device=device),
        target=history + 0.1 * torch.randn_like(history),
        mask=torch.ones_like(history, dtype=torch.bool),
    )


def measure(cases: int, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Rates in operations a second with batches of `cases`: of a product, a training step and a forecast step."""
    shape = Shape(
        channels=CHANNELS,
        forcing=FORCING,
        static=STATIC,
        height=options.size,
        width=options.size,
        delta_std=(1.0,) * CHANNELS,
    )
    model: Any = MODELS["unet-residual"].model_validate({"base_features": options.features}).build(shape)
    model = model.to(device, memory_format=memory_format(device))
    weights = Weights(scale=torch.ones(CHANNELS), variable=torch.ones(CHANNELS), rows=torch.ones(options.size))
    step = Step(model, LOSSES["weather"]().build(weights).to(device), TrainConfig(), device)
    batch = random_batch(cases, options.size, device)
    dtype = torch.bfloat16 if natively_bf16(device) else torch.float32
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))

    @torch.inference_mode()
    def forecast() -> None:
        with step.autocast:
            model.step(batch)

    flop = {
        "product": 2 * MATRIX**3,
        "training": operations(lambda: step.backward(batch)),
        "inference": operations(forecast),
    }
    if options.compile:
        model.network.compile()
    runs = {"product": lambda: a @ b, "training": lambda: step(batch), "inference": forecast}
    seconds = in_turn(runs, device, options.repeats)
    return {name: flop[name] / seconds[name] for name in runs}


def main() -> None:
    """Measure each batch size, and print one line."""
    options = parse_options()
    if options.rivals:
        from benchmarks.rivals import compare  # noqa: PLC0415 - it imports this module

        print(json.dumps(compare(options.work, seconds=options.seconds, device=pick_device(options.device))))
        return
    device = pick_device(options.device)
    rates = {cases: measure(cases, options, device) for cases in options.batch or BATCHES[device.type]}
    product = max(each["product"] for each in rates.values())
    asked = ASKED[device.type]
    best = {name: max(rates, key=lambda cases: rates[cases][name]) for name in asked}
    share = {name: rates[cases][name] / product for name, cases in best.items()}
    worst = min(asked, key=lambda name: share[name] / asked[name])
    result = {
        "benchmark": "train_step",
        "device": device_name(device),
        "precision": "bfloat16" if natively_bf16(device) else "float32",
        "grid": [options.size, options.size],
        "base_features": options.features,
        "compile": options.compile,
        "matrix_gflop_s": round(product / 1e9, 1),
        "share_by_batch": {
            cases: {name: round(each[name] / product, 3) for name in asked} for cases, each in rates.items()
        },
        "share": {name: round(value, 3) for name, value in share.items()},
        "asked": asked,
        "worst": worst,
        "ours": round(share[worst], 3),
        "limit": asked[worst],
        "ratio": round(share[worst] / asked[worst], 3),
    }
    print(json.dumps(result))


def device_name(device: torch.device) -> str:
    """What computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread(s)"


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--features", type=int, default=40, help="base features")
    parser.add_argument("--batch", type=int, action="append", help="cases in a batch; repeats, and the best counts")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--rivals", action="store_true", help="diffusers' UNet2DModel and physicsnemo's SongUNet")
    parser.add_argument("--seconds", type=float, default=140, help="that each contender trains (--rivals)")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"), help="(--rivals)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
