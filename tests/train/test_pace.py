"""A length in minutes becomes a number of steps, once, from the pace of the first ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weatherml.run.experiment import resolve
from weatherml.train import watch
from weatherml.train.trainer import train
from weatherml.train.watch import Meetings, Pace


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


@pytest.mark.parametrize("before", [0, 7])
def test_the_first_steps_do_not_count_and_the_next_set_the_pace(clock: Clock, before: int) -> None:
    """Ten steps of 3 s, then thirty of 0.5 s: 45 s of two minutes are gone, 75 s are 150 steps."""
    pace, found = Pace(2.0, before), []
    for step in range(1, 60):
        clock.now += 3.0 if step <= 10 else 0.5
        found.append(pace.steps(before + step))
    assert found.index(before + 40 + 150) == 39
    assert sum(steps is not None for steps in found) == 1


def test_a_length_that_is_already_over_leaves_one_step(clock: Clock) -> None:
    pace = Pace(0.1, 0)
    for step in range(1, 40):
        clock.now += 1.0
        assert pace.steps(step) is None
    assert pace.steps(40) == 41


def test_without_minutes_nothing_is_said(clock: Clock) -> None:
    pace = Pace(None, 0)
    assert all(pace.steps(step) is None for step in range(100))


def test_a_run_by_the_clock_ends_at_its_own_number_of_steps(small_dataset: Path, tmp_path: Path) -> None:
    settings = ["model.base_features=4", "model.blocks=1", "train.minutes=0.01", "train.batch=1"]
    settings += ["train.validation.cases=1", "train.validation.lead_steps=1"]
    run = train(resolve(None, model="simple-cnn", assignments=settings), small_dataset, tmp_path / "run", device="cpu")
    status = run.status()
    assert status["state"] == "finished"
    assert status["step"] == status["steps"] > Pace.SKIPPED + Pace.MEASURED
    last = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()][-1]
    assert last["step"] == status["step"]


def test_steps_that_will_cost_more_later_are_fewer(clock: Clock) -> None:
    """As above, the steps to come at 1.25 times the cost on average: 120 of them instead of 150."""
    pace, found = Pace(2.0, 0, average=1.25), []
    for step in range(1, 60):
        clock.now += 3.0 if step <= 10 else 0.5
        found.append(pace.steps(step))
    assert found.index(40 + 120) == 39


@pytest.mark.parametrize(("seconds", "apart"), [(0.01, 20), (0.5, 10), (2.0, 2), (60.0, 1)])
def test_processes_meet_some_seconds_apart(clock: Clock, seconds: float, apart: int) -> None:
    """From the second meeting on, when the pace is known: a signal is heard within 5 s, or a step."""
    meetings, found = Meetings(7), []
    for step in range(8, 60):
        clock.now += seconds
        if step >= meetings.next:
            meetings.next = meetings.following(step)
            found.append(meetings.next - step)
    assert set(found) == {apart}


def test_in_a_validation_they_meet_again_and_again(clock: Clock) -> None:
    meetings = Meetings(0)
    clock.now += 1.0
    assert [meetings.following(20) for _ in range(3)] == [40, 21, 21]
