"""The training loop, on Lightning Fabric."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from weatherml.data.loader import prefetched
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.errors import UnavailableError, WMLError
from weatherml.fields import Batch
from weatherml.files import output_lock, require_free, tree_size
from weatherml.nn.tally import Tally, tallies
from weatherml.run import checkpoint
from weatherml.run.checkpoint import Checkpoint
from weatherml.run.device import Device, pick_device
from weatherml.run.directory import Run, open_or_create, open_run
from weatherml.run.experiment import Experiment
from weatherml.signals import StopRequest, stop_request
from weatherml.train.calibration import calibrate
from weatherml.train.fitting import fit
from weatherml.train.learner import Learner
from weatherml.train.objective import alike, horizon_at, mean_work, total_steps
from weatherml.train.optimizer import learning_rate
from weatherml.train.processes import build_fabric
from weatherml.train.record import NoRecord, Progress, Record
from weatherml.train.share import Share
from weatherml.train.skill import Skill
from weatherml.train.supply import open_selected, supply
from weatherml.train.watch import (
    LOG_EVERY,
    Display,
    Meetings,
    Pace,
    Report,
    Stopwatch,
    no_display,
    peak_memory,
    run_log,
)

logger = logging.getLogger(__name__)

MOST_ROLLBACKS = 3


def train(
    experiment: Experiment,
    data: Path,
    path: Path,
    *,
    device: Device = "auto",
    resume: bool = True,
    display: Display = no_display,
) -> Run:
    """Train a model on the dataset at `data` into the run at `path`; an unfinished run goes on.

    Under `torchrun` or `srun` every process calls this; the first one writes.

    Raises:
        ConfigError: a configuration that does not fit, or differs from the run's.
        BadDataError: a dataset that does not fit the run.
        StoppedError: a signal came; the state is saved.
    """
    fabric = build_fabric(experiment.train, pick_device(device))
    first = fabric.is_global_zero
    path = Path(fabric.broadcast(str(path)))  # a name made of the time differs between processes
    with output_lock(path) if first else nullcontext():
        dataset = open_selected(data, experiment)
        run = open_or_create(path, experiment, dataset, resume=resume) if first else None
        fabric.barrier()
        run = run or open_run(path)
        dataset = run.matched(dataset)
        run.lineage.model_shape(run.experiment)  # before hours are spent on a model of another task
        finished = run.finished
        fabric.barrier()  # the first process is about to write another status
        if finished:
            logger.info("%s: trained before", path)
            return run
        with run_log(path) if first else nullcontext(), Record(run) if first else NoRecord() as record:
            if type(run.experiment.model).trainable:
                Trainer(run, dataset, fabric, record, display if first else no_display).run_to_end()
            elif first:
                fit(run, dataset, fabric.device, record)
        fabric.barrier()
    return run


class Trainer:
    """One run's training: the loop over its steps, and what is done between them.

    Args:
        run: to train.
        dataset: matched to the run.
        fabric: the device, and the processes that train together.
        record: takes what is kept.
        display: is told where training stands.
    """

    def __init__(
        self, run: Run, dataset: Dataset | SequenceDataset, fabric: Fabric, record: Record, display: Display
    ) -> None:
        self.run, self.fabric, self.record, self.display = run, fabric, record, display
        self.device = fabric.device
        self.config, self.lead = run.experiment.train, run.experiment.data.lead
        sizes = {"rank": fabric.global_rank, "size": fabric.world_size}
        self.share = Share.of(self.config.batch, self.config.accumulate, **sizes)
        self.supply = supply(run, dataset, self.device)
        self.skill: Skill | None = None
        self.begin()

    def begin(self) -> None:
        """Start from the last checkpoint, or anew."""
        torch.manual_seed(self.config.seed)
        self.learner = Learner(self.run.build_model(), self.config, self.fabric)
        for tally in self.tallies:  # the loss outlives a return to the start
            tally.take()
        steps = total_steps(self.run.experiment, len(self.supply.loader))
        self.progress = Progress(steps=steps, paced=self.config.minutes is None)
        saved = self.run.latest()
        if saved is not None:
            self.progress = Progress.of(saved, self.run.path)
            self.learner.restore(saved, self.run)
            self.progress.fill(self.tallies, self.run.path)
        elif self.config.start is not None:
            other = open_run(self.config.start)
            logger.info("%s: %s", other.path, self.learner.start_from(self.run, other))
        self.share = Share.of(**vars(self.share) | {"pieces": self.progress.pieces})
        self.record.rewind(self.progress.step, measured=self.progress.measured)
        self.meetings = Meetings(self.progress.step)

    def run_to_end(self) -> None:
        """Train to the last step, save, and calibrate what draws members."""
        logger.info("%s", self.describe())
        self.require_room()
        self.record.status(state="running", steps=self.progress.steps, step=self.progress.step, error=None)
        self.checkpoint_due = Stopwatch(self.config.checkpoint_minutes)
        with stop_request() as stop:
            if not self.progress.measured:
                self.measure_skill(stop)
            while not self.done():
                self.stretch(stop)
        self.save()
        self.calibrate()
        self.record.finished(self.progress.step, self.skill)

    def require_room(self) -> None:
        """Raise DiskError where the checkpoints will not fit beside those that are there."""
        weights = sum(tensor.nbytes for tensor in self.learner.average.model.state_dict().values())
        # those kept and the one being written, each with weights, their average and the optimizer's two moments; `best`
        needed = (4 * (checkpoint.KEPT + 1) + 2) * weights
        require_free(self.run.checkpoints, needed - tree_size(self.run.checkpoints))

    def done(self) -> bool:
        """Whether the last step is taken, or validation has not improved for long."""
        patience = self.config.validation.patience
        return self.progress.step >= self.progress.steps or 0 < patience <= self.progress.stale

    def stretch(self, stop: StopRequest) -> None:
        """Train with batches read ahead, to the end or to where training must begin again from a state before."""
        minutes = None if self.progress.paced else self.config.minutes
        pace = Pace(minutes, self.progress.step, average=mean_work(self.config), alike=alike(self.config))
        numbers = (n for step in count(self.progress.step) for n, _ in self.share.microbatches(step))
        with closing(prefetched(self.supply.loader.load, numbers)) as batches:
            while not self.done():
                try:
                    self.train_step(batches)
                except torch.OutOfMemoryError:
                    self.cut_smaller()
                    return
                self.keep_pace(pace)
                if self.beat() and int(self.learner.first_bad) >= 0:
                    self.roll_back()
                    return
                self.watch(stop)
                if self.fabric.world_size == 1 or self.progress.step >= self.meetings.next:
                    self.heed(stop)

    def beat(self) -> bool:
        """Whether this step ends with a look at what stands on the device: such looks wait for it, so they are few."""
        step, config = self.progress.step, self.config
        return step % LOG_EVERY == 0 or step % config.validation.every == 0 or step == self.progress.steps

    def train_step(self, batches: Iterator[Batch]) -> None:
        """One optimizer step over this process's share of the microbatches."""
        step = self.progress.step
        total = self.learner.gradients(self.share, step, batches, self._objective())
        self._rate = learning_rate(step, self.progress.steps, self.config) / 2**self.progress.rollbacks
        self._norm = self.learner.finish(total, rate=self._rate, step=step)
        self.progress.losses.append(total)
        self.progress.step += 1

    def _objective(self) -> Callable[..., torch.Tensor]:
        horizon = horizon_at(self.progress.step, self.progress.steps, self.config)
        return self.supply.objective(horizon=horizon, lead=self.lead, pushforward=self.config.pushforward)

    def cut_smaller(self) -> None:
        """After the device's memory ran out: the same step in smaller pieces.

        Raises:
            UnavailableError: a piece is one case already, or other processes wait for this one.
        """
        smaller = self.share.smaller() if self.share.size == 1 else None
        if smaller is None:
            raise UnavailableError(
                f"{self.run.path}: out of memory at step {self.progress.step} with {self.share.batch} cases in "
                f"{self.share.pieces} pieces; lower train.batch and raise train.accumulate, take "
                "train.checkpointing=blocks, or see `wml plan --vram`"
            )
        self.learner.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning("out of memory at step %d: microbatches are cut into %d", self.progress.step, smaller.pieces)
        self.share, self.progress.pieces = smaller, smaller.pieces

    def roll_back(self) -> None:
        """After a loss that was not finite: go on from the last checkpoint with half the learning rate.

        Raises:
            WMLError: it was tried before, `MOST_ROLLBACKS` times.
        """
        bad, tried = int(self.learner.first_bad), self.progress.rollbacks
        if tried == MOST_ROLLBACKS:
            raise WMLError(
                f"{self.run.path}: the loss or its gradient is not finite at step {bad}, for the {tried + 1}th time; "
                "the last checkpoint is sound: lower train.lr, or look at the data with `wml inspect`"
            )
        self.begin()
        self.progress.rollbacks = tried + 1
        logger.warning(
            "the loss is not finite at step %d: on from step %d at half the learning rate", bad, self.progress.step
        )

    def keep_pace(self, pace: Pace) -> None:
        """Set the number of steps of a run by the clock, once its pace is known and whenever it has changed."""
        if not pace.asks(self.progress.step, self.progress.steps):
            return
        steps = self.fabric.broadcast(pace.steps(self.progress.step))
        if steps is not None:
            level = logging.DEBUG if self.progress.paced else logging.INFO
            logger.log(level, "%g minutes are %d steps here", self.config.minutes, steps)
            self.progress.steps, self.progress.paced = steps, True
            self.record.status(steps=steps)

    def watch(self, stop: StopRequest) -> None:
        """Metrics, validation, the display, and the GPU's cache."""
        step, progress = self.progress.step, self.progress
        if step % LOG_EVERY == 0 or step == progress.steps:
            self.log()
        if step % self.config.validation.every == 0 or step == progress.steps:
            self.measure_skill(stop)
        if self.config.cache_clear and step % self.config.cache_clear == 0 and self.device.type == "cuda":
            torch.cuda.empty_cache()

    def log(self) -> None:
        """Write and show the mean of the steps since the last time."""
        progress = self.progress
        loss = float(torch.stack([each.to(self.device) for each in progress.losses]).double().mean())
        progress.losses.clear()
        values = {"loss": loss, "lr": self._rate, "gradient_norm": float(self._norm)}
        values |= self.contributions()
        self.record.write(progress.step, values | self.learner.network.diagnostics())
        skill = f"{self.skill.ratio:.3f} x {self.skill.reference}" if self.skill else ""
        memory = peak_memory(self.device)
        self.display(Report(step=progress.step, steps=progress.steps, loss=loss, skill=skill, memory_bytes=memory))

    def contributions(self) -> dict[str, float]:
        """What each variable added to the loss, the mean of the steps since the last time."""
        parts: Any = self.fabric.all_reduce(self.supply.loss.contributions(), reduce_op="mean")
        return {f"loss/{name}": part for name, part in zip(self.run.lineage.names, parts.tolist(), strict=True)}

    def heed(self, stop: StopRequest) -> None:
        """Save when it is time or a signal came; among several processes the first one says so."""
        found = self.checkpoint_due.due(), stop.number, self.meetings.following(self.progress.step)
        due, number, self.meetings.next = self.fabric.broadcast(found)
        if due or number is not None:
            self.save()
        if number is not None:
            stop.number = number
            progress = self.progress
            stop.raise_if_set(f"{self.run.path}: stopped at step {progress.step} of {progress.steps}, saved")

    def measure_skill(self, stop: StopRequest) -> None:
        """Validate the average, and keep it as `best` if it is; a signal meanwhile leaves it to the resumed run."""
        if self.supply.validate is None:
            return
        self.progress.measured = False
        with self.fabric.autocast():
            skill = self.supply.validate(self.learner.average.model, pause=lambda: self.heed(stop))
        self.skill = skill = self.fabric.broadcast(skill)
        self.progress.measured = True
        self.record.write(self.progress.step, skill.values())
        logger.debug("step %d: %.4f x the error of %s", self.progress.step, skill.ratio, skill.reference)
        if self.progress.best is None or skill.score < self.progress.best:
            self.progress.best, self.progress.stale = skill.score, 0
            self.record.save_best(self.progress.step, self.learner.average.model)
        else:
            self.progress.stale += 1

    def calibrate(self) -> None:
        """Fit the spread of a generative model's best weights, and keep the fit in the run."""
        if self.supply.calibrator is None or not self.fabric.is_global_zero:
            return
        model: Any = self.run.learnt_model()
        sampler = self.run.experiment.sampler
        with self.fabric.autocast():
            fit = calibrate(model.to(self.device), self.supply.calibrator, sampler.settings() if sampler else None)
        fit.save(self.run.path)
        logger.info("%s", fit.describe())

    def describe(self) -> str:
        """The run in one line."""
        kind, parameters = self.run.experiment.model.kind, sum(p.numel() for p in self.learner.network.parameters())
        where = f"{self.device.type} in {self.fabric.strategy.precision.precision}"
        where = f"{self.fabric.world_size} x {where}" if self.fabric.world_size > 1 else where
        since = f", from step {self.progress.step}" if self.progress.step else ""
        return (
            f"{kind}: {parameters:,} parameters, {len(self.supply.loader)} cases, {self.progress.steps} steps{since}, "
            f"on {where}"
        )

    def save(self) -> None:
        """Write a checkpoint from which the run goes on exactly, unless a step was bad and is about to be undone."""
        if int(self.learner.first_bad) >= 0:
            return
        state = self.learner.state()
        self.progress.sums = [tally.sums.tolist() for tally in self.tallies]
        average = self.learner.average.model.state_dict()
        progress = self.progress.settings()
        self.record.save(Checkpoint(step=progress.pop("step"), average=average, progress=progress, **state))
        self.record.status(step=self.progress.step)

    @property
    def tallies(self) -> list[Tally]:
        """What model and loss have summed since it was last logged."""
        return tallies(self.learner.network, self.supply.loss)
