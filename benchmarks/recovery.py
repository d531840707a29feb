"""What a signal or a kill costs: seconds until a command has ended, the work that is lost, seconds until it goes on.

    python -m benchmarks.recovery                      # 6 trials of each; about 14 minutes on two cores
    python -m benchmarks.recovery --trials 20 --seed 1

Every command runs as a process of its own on a 64 x 64 synthetic world and is stopped at random times. `train` runs
with a probe that notes when each step ended, so that lost steps are counted and not guessed; checkpoints come every
`MINUTES` instead of every 5. A start is timed from the process to its first step, of a new run and of one that goes on.
`ours`, `limit` and `ratio` are those of the figure nearest to its limit; all are under `figures`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from statistics import median

import numpy as np

from benchmarks.tool import settings, wml

PROBE = "--probe"
MINUTES = 0.05
EXIT_LIMIT_S, RESUME_LIMIT_S = 30.0, 10.0
ENDINGS = (0, 143, -SIGTERM)
"""Exit codes after SIGTERM: the end came first, or the state was saved, or there was nothing to save yet."""
TRAINING = [
    *("train.steps=1000000", "train.batch=4", "train.validation.every=1000000"),
    *("model.base_features=16", f"train.checkpoint_minutes={MINUTES}"),
]
CASES = "--run made --data data.zarr --device cpu --hours"
COMMANDS = {
    "prepare": ("prepare synthetic --set hours=1000 --output new.zarr", "new.zarr"),
    "rollout": (f"rollout {CASES} 24 --output f.zarr", "f.zarr"),
    "ensemble": (f"ensemble {CASES} 6 --members 4 --output e.zarr", "e.zarr"),
    "evaluate": ("evaluate made.zarr --truth data.zarr --output scores", "scores"),
}
"""By name a command that takes some seconds, and its output."""
LAST_WRITTEN = ("complete.json", "scores.json")
"""The file that says that an output is whole, of a store or of scores."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """A process from its start to its end; times are seconds since the start.

    Attributes:
        code: its exit code, or minus the signal's number.
        steps: of training, by number, when each ended.
        signalled: when it got the signal.
        ended: when it was gone.
    """

    code: int
    steps: dict[int, float]
    signalled: float
    ended: float

    @property
    def exit_s(self) -> float:
        """From the signal to the end."""
        return self.ended - self.signalled

    @property
    def first_step_s(self) -> float:
        """From the start to the first step."""
        return next(iter(self.steps.values()))

    def lost(self, saved: int) -> tuple[int, float]:
        """Steps done after the one that was saved, and the seconds from it, or this life's first, to the signal."""
        return max(self.steps) - saved, self.signalled - self.steps.get(saved, self.first_step_s)


def probed(arguments: Sequence[str]) -> None:
    """Be `wml`, and write the number and the time of each step of training to the file named first."""
    from cli.main import app  # noqa: PLC0415 - loads torch: the benchmark itself needs none
    from weatherml.train.trainer import Trainer  # noqa: PLC0415

    probe = os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    train_step = Trainer.train_step

    def noted(self: Trainer, batches: Iterator[object]) -> None:
        train_step(self, batches)  # type: ignore[arg-type]
        os.write(probe, f"{self.progress.step} {time.monotonic()}\n".encode())

    setattr(Trainer, "train_step", noted)  # noqa: B010 - a method is no attribute that may be assigned
    app(list(arguments[1:]))


def live(folder: Path, command: str, *, after: float, number: int = SIGTERM) -> Life:
    """Run a command, and send a signal so many seconds after its first step, or after its start where it has none."""
    probe = folder / "steps.txt"
    probe.unlink(missing_ok=True)
    started = time.monotonic()
    with subprocess.Popen(process(command, probe), cwd=folder, stdout=sys.stderr, env=environment()) as running:
        while command.startswith("train") and not read_steps(probe) and running.poll() is None:
            time.sleep(0.01)
        time.sleep(after)
        signalled = time.monotonic()
        running.send_signal(number)
        code = running.wait()
        ended = time.monotonic()
    steps = {step: at - started for step, at in read_steps(probe).items()}
    return Life(code=code, steps=steps, signalled=signalled - started, ended=ended - started)


def process(command: str, probe: Path) -> list[str]:
    """The program and its arguments; training with the probe."""
    if command.startswith("train"):
        return [sys.executable, "-m", "benchmarks.recovery", PROBE, str(probe), *command.split()]
    return [str(Path(sys.executable).with_name("wml")), *command.split()]


def environment() -> dict[str, str]:
    """With this package on the path, wherever the process runs."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def read_steps(probe: Path) -> dict[int, float]:
    """What the probe wrote."""
    text = probe.read_text() if probe.exists() else ""
    return {int(step): float(at) for step, at in (line.split() for line in text.splitlines())}


def saved_step(run: Path) -> int:
    """The step of the newest finished checkpoint; 0 before the first."""
    markers = run.glob("checkpoints/step-*/complete.json")
    return max((int(marker.parent.name.removeprefix("step-")) for marker in markers), default=0)


def train_command(run: str) -> str:
    """Training that does not come to its end."""
    return " ".join(
        ["train", "--model", "unet", "--data", "data.zarr", "--run", run, "--device", "cpu", *settings(TRAINING)]
    )


def starts(folder: Path, trials: int) -> list[float]:
    """Seconds to the first step of new runs; one before them reads the libraries from the disk."""
    lives = []
    for number in range(trials + 1):
        lives.append(live(folder, train_command(f"fresh-{number}"), after=0))
        shutil.rmtree(folder / f"fresh-{number}")
    return [each.first_step_s for each in lives[1:]]


def training(folder: Path, number: int, delays: Sequence[float]) -> list[tuple[Life, int]]:
    """One run that is ended again and again; each life with the step that was saved at its end."""
    lives = []
    for delay in delays:
        life = live(folder, train_command("run"), after=delay, number=number)
        if life.code != (143 if number == SIGTERM else -number):
            raise RuntimeError(f"train ended with exit code {life.code}")
        lives.append((life, saved_step(folder / "run")))
    return lives


def exits(folder: Path, name: str, rng: np.random.Generator, trials: int) -> list[Life]:
    """The lives of a command that is stopped again and again on its way, and then let finish."""
    command, output = COMMANDS[name]
    whole = wml_in(folder, command)
    found: list[Life] = []
    for share in rng.uniform(0.3, 0.95, trials):
        if is_whole(folder / output):
            shutil.rmtree(folder / output)
        life = live(folder, command, after=share * whole)
        if life.code not in ENDINGS:
            raise RuntimeError(f"{name} ended with exit code {life.code}")
        found.append(life)
    if not is_whole(folder / output):
        wml_in(folder, command)
    return found


def is_whole(output: Path) -> bool:
    """Whether a command came to its end: the signal may have come after all was written."""
    return any((output / name).exists() for name in LAST_WRITTEN)


def wml_in(folder: Path, command: str) -> float:
    """Run a command to its end in a folder; its seconds by the clock."""
    began = time.monotonic()
    subprocess.run(process(command, folder / "steps.txt"), cwd=folder, check=True, stdout=sys.stderr, env=environment())
    return time.monotonic() - began


def make_inputs(folder: Path) -> None:
    """A dataset, a run of two steps and a forecast of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wml("prepare", "synthetic", "--output", folder / "data.zarr")
    short = settings([*TRAINING[1:-1], "train.steps=2", "train.calibration.cases=0"])
    wml("train", "--model", "crps", "--data", folder / "data.zarr", "--run", folder / "made", "--device", "cpu", *short)
    wml_in(folder, COMMANDS["rollout"][0].replace("f.zarr", "made.zarr"))


def figure(ours: float, limit: float) -> dict[str, float]:
    """A figure beside its limit; a ratio above 1 keeps it."""
    return {"ours": round(ours, 3), "limit": limit, "ratio": round(limit / max(ours, 1e-3), 2)}


def measure(folder: Path, trials: int, rng: np.random.Generator) -> dict[str, object]:
    """All figures, and what they are made of."""
    make_inputs(folder)
    delays = rng.uniform(0.5, 3 * 60 * MINUTES, (2, trials)).tolist()
    fresh = starts(folder, trials)
    stopped, killed = training(folder, SIGTERM, delays[0]), training(folder, SIGKILL, delays[1])
    resumed = [life.first_step_s for life, _ in [*stopped, *killed][1:]]
    ended = {"train": [life for life, _ in stopped]}
    ended |= {name: exits(folder, name, rng, trials) for name in COMMANDS}
    exit_s = {name: max(life.exit_s for life in lives) for name, lives in ended.items()}
    kept = [life.lost(saved) for life, saved in stopped]
    lost = [life.lost(saved) for life, saved in killed]
    step_s = median(np.diff(list(stopped[0][0].steps.values())))
    figures = {
        "exit after SIGTERM, s": figure(max(exit_s.values()), EXIT_LIMIT_S),
        "overhead of going on, s": figure(max(resumed) - median(fresh), RESUME_LIMIT_S),
        "work lost by SIGKILL, s": figure(max(seconds for _, seconds in lost), 60 * MINUTES + 2 * step_s),
    }
    return {
        "figures": figures,
        "steps lost by SIGTERM": max(steps for steps, _ in kept),
        "steps lost by SIGKILL": [steps for steps, _ in lost],
        "step_s": round(step_s, 3),
        "first step of a new run, s": [round(each, 2) for each in fresh],
        "first step of one that goes on, s": [round(each, 2) for each in resumed],
        "exit_s": {name: round(seconds, 2) for name, seconds in exit_s.items()},
        "codes": {name: [life.code for life in lives] for name, lives in ended.items()},
        **min(figures.values(), key=lambda each: each["ratio"]),
    }


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=6, help="signals of each kind to each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which they come")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    options = parser.parse_args()
    found = measure(options.work.resolve() / "recovery", options.trials, np.random.default_rng(options.seed))
    print(json.dumps({"benchmark": "recovery", "trials": options.trials, **found}))


if __name__ == "__main__":
    if sys.argv[1:2] == [PROBE]:
        probed(sys.argv[2:])
    else:
        main()
