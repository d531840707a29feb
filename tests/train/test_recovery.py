"""What training does when a loss is not finite or the memory runs out: it goes on, or says why not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.test_trainer import experiment, lines
from weatherml.config import parse
from weatherml.errors import UnavailableError, WMLError
from weatherml.losses.l1 import L1Loss
from weatherml.run import checkpoint
from weatherml.run.experiment import Experiment, OptimizerKind, TrainConfig
from weatherml.train.optimizer import build_optimizer
from weatherml.train.trainer import Trainer, train

Change = Callable[[int, torch.Tensor], torch.Tensor]


@pytest.fixture
def at_call(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Let a test change what the k-th loss of training is."""

    def install(change: Change) -> None:
        calls, honest = 0, L1Loss.forward

        def changed(self: L1Loss, *args: Any) -> torch.Tensor:
            nonlocal calls
            calls += torch.is_grad_enabled()
            return change(calls, honest(self, *args))

        monkeypatch.setattr(L1Loss, "forward", changed)

    return install


def with_l1(**training: Any) -> Experiment:
    small = {"base_features": 4, "blocks": 1}
    return parse(Experiment, experiment("simple-cnn", small, **training).settings() | {"loss": {"kind": "l1"}})


def test_one_bad_loss_costs_a_return_to_the_last_checkpoint(
    small_dataset: Path, tmp_path: Path, at_call: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A loss of NaN at step 3 is seen at the next beat, step 5; training begins again and half as fast."""
    at_call(lambda call, loss: loss * float("nan") if call == 4 else loss)
    run = train(with_l1(), small_dataset, tmp_path / "run", device="cpu")
    assert "not finite at step 3: on from step 0 at half the learning rate" in caplog.text
    saved = checkpoint.load(run.checkpoints / "step-12")
    assert saved.progress["rollbacks"] == 1
    assert all(weight.isfinite().all() for weight in saved.weights.values())
    assert [line["step"] for line in lines(run) if "skill" in line] == [5, 10, 12]
    numbers = [value for line in lines(run) for value in line.values() if isinstance(value, float)]
    assert numbers
    assert all(map(math.isfinite, numbers))


def test_processes_meet_at_the_step_that_they_return_to(
    small_dataset: Path, tmp_path: Path, at_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where they would have met next: until then none would hear of a signal."""
    at_call(lambda call, loss: loss * float("nan") if call == 4 else loss)
    honest, found = Trainer.train_step, []

    def train_step(self: Trainer, batches: Any) -> None:
        found.append((self.progress.step, self.meetings.next))
        honest(self, batches)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    train(with_l1(), small_dataset, tmp_path / "run", device="cpu")
    assert found.count((0, 0)) == 2


def test_it_goes_back_to_what_was_saved(small_dataset: Path, tmp_path: Path, at_call: Any) -> None:
    """Saved after every step (a checkpoint every 0 minutes or so): the bad step alone is taken again."""
    calls = []
    at_call(lambda call, loss: calls.append(call) or (loss * float("inf") if call == 8 else loss))  # type: ignore[func-returns-value]
    validation = {"every": 1, "cases": 1, "lead_steps": 1}
    train(with_l1(checkpoint_minutes=1e-9, validation=validation), small_dataset, tmp_path / "run", device="cpu")
    assert len(calls) == 12 + 1


def test_a_loss_that_stays_bad_ends_the_run_and_is_never_saved(
    small_dataset: Path, tmp_path: Path, at_call: Any
) -> None:
    at_call(lambda call, loss: loss * float("nan"))
    with pytest.raises(WMLError, match="not finite at step 0, for the 4th time; the last checkpoint is sound") as ended:
        train(with_l1(), small_dataset, tmp_path / "run", device="cpu")
    assert ended.value.exit_code == 1
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == []
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_an_optimizer_leaves_all_as_it_is_where_a_gradient_is_bad(kind: OptimizerKind) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 3), torch.nn.Conv2d(16, 2, 1))
    optimizer: Any = build_optimizer(model, TrainConfig(optimizer=kind))
    states = []
    for bad in (0.0, 1.0, 0.0):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, float("nan") if bad else 0.5)
        optimizer.found_inf = torch.tensor(bad)
        optimizer.step()
        states.append([parameter.detach().clone() for parameter in model.parameters()])
    first, skipped, second = states
    assert all(torch.equal(a, b) for a, b in zip(first, skipped, strict=True))
    assert all((a != b).any() and b.isfinite().all() for a, b in zip(skipped, second, strict=True))


def test_the_microbatch_is_halved_and_the_effective_batch_kept(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Four cases do not fit, two do: the steps are those of a run that had room for four."""
    whole = train(with_l1(batch=4), small_dataset, tmp_path / "whole", device="cpu")
    honest, sizes = L1Loss.forward, []

    def forward(self: L1Loss, prediction: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            sizes.append(len(prediction))
            if len(prediction) > 2:
                raise torch.OutOfMemoryError("not enough")
        return honest(self, prediction, *rest)

    monkeypatch.setattr(L1Loss, "forward", forward)
    run = train(with_l1(batch=4), small_dataset, tmp_path / "run", device="cpu")
    assert sizes == [4] + [2] * 24
    assert "out of memory at step 0: microbatches are cut into 2" in caplog.text
    assert checkpoint.load(run.checkpoints / "step-12").progress["pieces"] == 2
    assert len(lines(whole)) == 4
    # losses, gradient norms and skill, not weights: one whose gradient is 0 but for rounding goes anywhere with AdamW
    for ours, theirs in zip(lines(run), lines(whole), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_memory_for_not_even_one_case_is_said_in_one_line(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: L1Loss, *fields: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("not enough")

    monkeypatch.setattr(L1Loss, "forward", forward)
    with pytest.raises(UnavailableError, match="out of memory at step 0 with 2 cases in 2 pieces; lower"):
        train(with_l1(batch=2), small_dataset, tmp_path / "run", device="cpu")
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
