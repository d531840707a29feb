"""How near the inference of a segmenter comes to the rate of a matrix product, on this machine.

    python benchmarks/segment_inference.py

Sequences of three 64 x 64 images of four bands go through the convolutional LSTM of `configs/forest.yaml`, 6.5 GFLOP
each, in bfloat16 where the processor multiplies in it, else in float32. The rate is that of a product of two
2048 x 2048 matrices in the same precision and process. `ours` is milliseconds a sequence at the best batch size
(of processors on a CPU), `limit` what the rate allows for 6.5 GFLOP; `ratio` is limit over ours, to be above 1 / 1.5.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch

from weatherml.fields import Batch, Shape
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.run.device import memory_format, natively_bf16, pick_device

STEPS, BANDS, SIZE = 3, 4, 64
LAYERS = ((BANDS, 32), (32, 64))
SHAPE = Shape(channels=BANDS, history=STEPS, targets=1, height=SIZE, width=SIZE, delta_std=(1.0,))
SEQUENCE_FLOP = 2 * STEPS * SIZE**2 * sum((inputs + hidden) * 4 * hidden * 9 for inputs, hidden in LAYERS)
"""Of the gates' convolutions, a product and a sum two: 6.455e9."""
MATRIX = 2048
BATCHES = {"cpu": (1, 2, 4, 8), "cuda": (1, 8, 32, 64, 128)}


def seconds(run: Callable[[], object], device: torch.device, *, repeats: int) -> float:
    """The least time of a call: by the clock on a GPU, of processors on a CPU, where other work counts for nothing."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time

    def once() -> float:
        began = clock()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - began

    once(), once()  # memory is claimed, kernels are chosen
    return min(once() for _ in range(repeats))


def matrix_rate(device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """Operations a second of a product of matrices."""
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))
    return 2 * MATRIX**3 / seconds(lambda: a @ b, device, repeats=repeats)


def sequence_seconds(model: Model, batch: int, device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """Seconds a sequence in batches of that size."""
    history = torch.randn(batch, STEPS, BANDS, SIZE, SIZE, device=device)
    nothing = history.new_zeros(batch, 1, 0, SIZE, SIZE)
    cases = Batch(
        history=history,
        forcing=nothing,
        static=nothing[0, 0],
        valid_time=torch.zeros(batch, 1, dtype=torch.int64, device=device),
    )

    @torch.inference_mode()
    def run() -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            model(cases)

    return seconds(run, device, repeats=repeats) / batch


def main() -> None:
    """Measure the rate, then each batch size, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options = parser.parse_args()
    device = pick_device(options.device)
    dtype = torch.bfloat16 if natively_bf16(device) else torch.float32
    model = MODELS["convlstm-segmenter"]().build(SHAPE).eval().to(device, memory_format=memory_format(device))
    rates, by_batch = [], {}
    for batch in BATCHES[device.type]:
        rates.append(matrix_rate(device, dtype, options.repeats))  # again beside each: clocks and neighbours change
        by_batch[batch] = sequence_seconds(model, batch, device, dtype, options.repeats)
    best = min(by_batch, key=by_batch.__getitem__)
    ours, limit = 1e3 * by_batch[best], 1e3 * SEQUENCE_FLOP / max(rates)
    result = {
        "benchmark": "segment_inference",
        "device": torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} thread(s)",
        "precision": str(dtype).removeprefix("torch."),
        "matrix_gflop_s": round(max(rates) / 1e9, 1),
        "ms_by_batch": {batch: round(1e3 * each, 3) for batch, each in by_batch.items()},
        "best_batch": best,
        "sequences_s": round(1e3 / ours, 1),
        "ours": round(ours, 3),
        "limit": round(limit, 3),
        "ratio": round(limit / ours, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
