"""The training loop, on Lightning Fabric."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from weatherml.data.loader import prefetched
from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.store import Dataset
from weatherml.data.stores import open_data
from weatherml.errors import BadDataError, ConfigError, UnavailableError, WMLError
from weatherml.fields import Batch
from weatherml.files import output_lock
from weatherml.models.base import FittedModel, Model
from weatherml.nn.blocks import set_checkpointing
from weatherml.run import checkpoint
from weatherml.run.checkpoint import Checkpoint
from weatherml.run.device import Device, memory_format, pick_device, pick_precision
from weatherml.run.directory import Run, load_weights, open_or_create, open_run, start_from
from weatherml.run.experiment import Experiment
from weatherml.signals import stop_request
from weatherml.train.calibration import calibrate
from weatherml.train.objective import follow, horizon_at, total_steps
from weatherml.train.optimizer import MovingAverage, build_optimizer, learning_rate
from weatherml.train.skill import Skill
from weatherml.train.supply import supply
from weatherml.train.watch import LOG_EVERY, Display, Journal, Pace, Report, Stopwatch, no_display, peak_memory, run_log

logger = logging.getLogger(__name__)


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

    Raises:
        ConfigError: a configuration that does not fit, or differs from the run's.
        BadDataError: a dataset that does not fit the run.
        StoppedError: a signal came; the state is saved.
    """
    with output_lock(path):
        dataset = open_data(data)
        if isinstance(dataset, Dataset):
            dataset = dataset.select(experiment.data.variables or dataset.names)
        run = open_or_create(path, experiment, dataset, resume=resume)
        dataset = run.matched(dataset)
        run.lineage.model_shape(run.experiment)  # before hours are spent on a model of another task
        if run.status()["state"] == "finished":
            logger.info("%s: trained before", path)
            return run
        with run_log(path):
            _train(Trainer(run, dataset, pick_device(device), display))
    return run


def _train(trainer: Trainer) -> None:
    """Train to the end; the run's status says how it went."""
    run = trainer.run
    try:
        trainer.run_to_end()
    except torch.OutOfMemoryError as error:
        run.set_status(state="failed", error=str(error))
        raise UnavailableError(
            f"{run.path}: out of memory at step {trainer.step}; lower train.batch and raise train.accumulate, or set "
            "train.checkpointing=blocks"
        ) from None
    except WMLError as error:
        run.set_status(state="stopped" if error.exit_code > 128 else "failed", error=str(error), step=trainer.step)
        raise
    finally:
        trainer.journal.close()


class Trainer:
    """Model, optimizer, average and loader of one run, and the loop over its steps."""

    def __init__(self, run: Run, dataset: Dataset | SequenceDataset, device: torch.device, display: Display) -> None:
        self.run, self.device, self.display = run, device, display
        self.config, self.lead = run.experiment.train, run.experiment.data.lead
        self.fabric = Fabric(
            accelerator=device.type, devices=1, precision=pick_precision(self.config.precision, device)
        )
        torch.manual_seed(self.config.seed)
        model = run.build_model()
        self.supply = supply(run, dataset, device)
        self.journal = Journal(run.path)
        self.steps = total_steps(run.experiment, len(self.supply.loader))
        self.step, self.paced = 0, self.config.minutes is None
        self.skill: Skill | None = None
        self.best: float | None = None
        self.stale = 0
        self._losses: list[float] = []
        self._set_up(model)

    def _set_up(self, model: Any) -> None:
        model = model.to(self.device, memory_format=memory_format(self.device))
        if self.config.checkpointing == "blocks":
            set_checkpointing(model, on=True)
        self.average = MovingAverage(model, self.config.ema)
        if not type(self.run.experiment.model).trainable:
            self.steps = 0
            return
        if self.config.compile:
            model.compile()
        self.model, self.optimizer = self.fabric.setup(model, build_optimizer(model, self.config))
        for method in ("objective", "step"):
            self.model.mark_forward_method(method)
        self._restore()

    def run_to_end(self) -> None:
        """Train from the last checkpoint to the last step, then save."""
        logger.info("%s", self.describe())
        self.run.set_status(state="running", steps=self.steps, step=self.step, error=None)
        checkpoint_due = Stopwatch(self.config.checkpoint_minutes)
        accumulate = self.config.accumulate
        average = 1 + self.config.horizon_share * (self.config.horizon - 1)
        pace = Pace(None if self.paced else self.config.minutes, self.step, average=average)
        with (
            stop_request() as stop,
            closing(prefetched(self.supply.loader.load, count(self.step * accumulate))) as batches,
        ):
            while self.step < self.steps and not self._stale():
                self.train_step(batches)
                self.keep_pace(pace)
                self.watch()
                if checkpoint_due.due():
                    self.save()
                if stop.number is not None:
                    self.save()
                    stop.raise_if_set(f"{self.run.path}: stopped at step {self.step} of {self.steps}, saved")
        if self.steps:
            self.save()
        if type(self.run.experiment.model).fitted:
            self.fit()
        self.calibrate()
        ratio, reference = (self.skill.ratio, self.skill.reference) if self.skill else (None, None)
        self.run.set_status(state="finished", step=self.step, skill=ratio, reference=reference)

    def fit(self) -> None:
        """Let a model that learns in one go do so, and keep it as the best."""
        if self.supply.everything is None:
            raise ConfigError(f"model.kind: {self.run.experiment.model.kind} does not forecast; take another")
        model = self.average.model
        assert isinstance(model, FittedModel)
        model.fit(self.supply.everything())
        if self.supply.validate is None:
            checkpoint.save(self.run.checkpoints, self._checkpoint(resumable=False), name="best")
        self.measure_skill()

    def keep_pace(self, pace: Pace) -> None:
        """Fix the number of steps of a run by the clock, once its pace is known."""
        steps = pace.steps(self.step)
        if steps is not None:
            self.steps, self.paced = steps, True
            self.run.set_status(steps=steps)
            logger.info("%g minutes are %d steps here", self.config.minutes, steps)

    def calibrate(self) -> None:
        """Fit the spread of a generative model's best weights, and keep the fit in the run."""
        if self.supply.calibrator is None:
            return
        model: Any = self.run.load_model()
        sampler = self.run.experiment.sampler
        with self.fabric.autocast():
            fit = calibrate(model.to(self.device), self.supply.calibrator, sampler.settings() if sampler else None)
        fit.save(self.run.path)
        logger.info("%s", fit.describe())

    def describe(self) -> str:
        """The run in one line."""
        kind, parameters = self.run.experiment.model.kind, sum(p.numel() for p in self.average.model.parameters())
        where = f"{self.device.type} in {self.fabric.strategy.precision.precision}"
        since = f", from step {self.step}" if self.step else ""
        return (
            f"{kind}: {parameters:,} parameters, {len(self.supply.loader)} cases, {self.steps} steps{since}, on {where}"
        )

    def train_step(self, batches: Iterator[Batch]) -> None:
        """One optimizer step over `accumulate` microbatches; a loss that is not finite never reaches the weights."""
        step_seed = int(np.random.SeedSequence([self.config.seed, 3, self.step]).generate_state(1)[0])
        torch.manual_seed(step_seed)  # dropout and noise follow from (seed, step), so resuming needs only the step
        rate = learning_rate(self.step, self.steps, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total = torch.zeros((), device=self.device)
        for _ in range(self.config.accumulate):
            loss = self._loss(next(batches)) / self.config.accumulate
            self.fabric.backward(loss)
            total += loss.detach()
        norm: Any = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
        )
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            raise WMLError(
                f"{self.run.path}: the loss is {float(total)} at step {self.step}, its gradient {float(norm)}; "
                "the last checkpoint is sound: lower train.lr, or look at the data with `wml inspect`"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model, self.step)
        self._losses.append(float(total))
        self.step += 1
        self._grad_norm, self._rate = float(norm), rate

    def _loss(self, batch: Batch) -> Tensor:
        return follow(
            self.model,
            batch,
            self.supply.loss,
            horizon=horizon_at(self.step, self.steps, self.config),
            lead=self.lead,
            bounded=self.supply.bounded,
            members=self.supply.loss.members,
        )

    def watch(self) -> None:
        """Metrics, validation, the display, and the GPU's cache."""
        if self.step % LOG_EVERY == 0 or self.step == self.steps:
            loss = float(np.mean(self._losses))
            self._losses.clear()
            values = {"loss": loss, "lr": self._rate, "gradient_norm": self._grad_norm}
            self.journal.write(self.step, values | self._unwrapped.diagnostics())
            skill = f"{self.skill.ratio:.3f} x {self.skill.reference}" if self.skill else ""
            memory = peak_memory(self.device)
            self.display(Report(step=self.step, steps=self.steps, loss=loss, skill=skill, memory_bytes=memory))
        if self.step % self.config.validation.every == 0 or self.step == self.steps:
            self.measure_skill()
        if self.config.cache_clear and self.step % self.config.cache_clear == 0 and self.device.type == "cuda":
            torch.cuda.empty_cache()

    def measure_skill(self) -> None:
        """Validate the average, and keep it as `best` if it is."""
        if self.supply.validate is None:
            return
        with self.fabric.autocast():
            self.skill = self.supply.validate(self.average.model)
        values = {"skill": self.skill.ratio, "roughness_db": self.skill.roughness_db}
        values |= {f"skill/{name}": ratio for name, ratio in self.skill.by_variable.items()}
        values |= {f"spread_skill/{name}": ratio for name, ratio in self.skill.spread_skill.items()}
        self.journal.write(self.step, values)
        logger.debug("step %d: %.4f x the error of %s", self.step, self.skill.ratio, self.skill.reference)
        if self.best is None or self.skill.score < self.best:
            self.best, self.stale = self.skill.score, 0
            checkpoint.save(self.run.checkpoints, self._checkpoint(resumable=False), name="best")
        else:
            self.stale += 1

    def save(self) -> None:
        """Write a checkpoint from which the run goes on exactly."""
        checkpoint.save(self.run.checkpoints, self._checkpoint(resumable=True))
        self.run.set_status(step=self.step)

    def _checkpoint(self, *, resumable: bool) -> Checkpoint:
        return Checkpoint(
            step=self.step,
            weights=self.model.state_dict() if resumable else {},
            average=self.average.model.state_dict(),
            optimizer=self.optimizer.state_dict() if resumable else None,
            progress={
                "steps": self.steps,
                "paced": self.paced,
                "best": self.best,
                "stale": self.stale,
                "losses": self._losses,
            },
        )

    @property
    def _unwrapped(self) -> Model:
        module: Model = self.model.module
        return module

    def _restore(self) -> None:
        saved = self.run.latest()
        if saved is None:
            self.journal.rewind(0)
            self._start()
            return
        load_weights(self._unwrapped, saved.weights, self.run.path)
        load_weights(self.average.model, saved.average, self.run.path)
        if saved.optimizer is None:
            raise BadDataError(f"{self.run.path}: step {saved.step} has no optimizer state; it cannot go on")
        self.optimizer.load_state_dict(saved.optimizer)
        self.step = saved.step
        self.steps, self.paced = saved.progress["steps"], saved.progress["paced"]
        self.best, self.stale = saved.progress["best"], saved.progress["stale"]
        self._losses = list(saved.progress["losses"])
        self.journal.rewind(self.step)

    def _start(self) -> None:
        """Begin with another run's weights, where the configuration names one."""
        if self.config.start is None:
            return
        taken, kept = start_from(self._unwrapped, open_run(Path(self.config.start)))
        load_weights(self.average.model, self._unwrapped.state_dict(), self.run.path)
        logger.info("%s: %d tensors taken, %d new (%s)", self.config.start, len(taken), len(kept), ", ".join(kept[:4]))

    def _stale(self) -> bool:
        patience = self.config.validation.patience
        return patience > 0 and self.stale >= patience
