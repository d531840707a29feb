"""A length in minutes becomes a number of steps, from the pace of the first ones and of those that follow."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def paced(pace: Pace, clock: Clock, seconds: Callable[[int], float], before: int = 0) -> dict[int, int]:
    """What a run whose n-th step takes `seconds(n)` is told, by the steps done; it ends where it was told last."""
    step, steps, told = before, 10**6, {}
    while step < steps:
        step += 1
        clock.now += seconds(step - before)
        found = pace.steps(step) if pace.asks(step, steps) else None
        if found is not None:
            told[step] = steps = found
    return told


@pytest.mark.parametrize("before", [0, 7])
def test_the_first_steps_do_not_count_and_the_next_set_the_pace(clock: Clock, before: int) -> None:
    """Ten steps of 3 s, then thirty of 0.5 s: 45 s of two minutes are gone, 75 s are 150 steps; it stays so."""
    told = paced(Pace(2.0, before), clock, lambda step: 3.0 if step <= 10 else 0.5, before)
    assert told == dict.fromkeys([before + 40, before + 70, before + 130], before + 190)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_pace_that_changes_is_heeded(clock: Clock, factor: float) -> None:
    """The first forty steps take 0.25 s, the others 0.25 s times the factor: ten minutes are ten minutes."""
    told = paced(Pace(10.0, 0), clock, lambda step: 0.25 if step <= 40 else 0.25 * factor)
    assert told[40] == 2400
    assert clock.now - 100 == pytest.approx(600, rel=0.002)


def test_steps_that_cost_more_are_not_measured(clock: Clock) -> None:
    """Of 0.5 s up to 0.7 of the run, then 1 s: no mark lies in the last part, and the length is kept."""
    told = paced(Pace(5.0, 0, average=1.3, alike=0.7), clock, lambda step: 0.5 if step <= 323 else 1.0)
    assert list(told) == [40, 70, 130, 250]
    assert set(told.values()) == {461}
    assert clock.now - 100 == pytest.approx(300, abs=1.0)


def test_a_length_that_is_already_over_leaves_one_step(clock: Clock) -> None:
    assert paced(Pace(0.1, 0), clock, lambda step: 1.0) == {40: 41}


def test_without_minutes_nothing_is_asked(clock: Clock) -> None:
    pace = Pace(None, 0)
    assert not any(pace.asks(step, 100) for step in range(100))


def test_a_run_by_the_clock_ends_at_its_own_number_of_steps(small_dataset: Path, tmp_path: Path) -> None:
    settings = ["model.base_features=4", "model.blocks=1", "train.minutes=0.01", "train.batch=1"]
    settings += ["train.validation.cases=1", "train.validation.lead_steps=1"]
    run = train(resolve(None, model="simple-cnn", assignments=settings), small_dataset, tmp_path / "run", device="cpu")
    status = run.status()
    assert status["state"] == "finished"
    assert status["step"] == status["steps"] > Pace.SKIPPED + Pace.MEASURED
    last = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()][-1]
    assert last["step"] == status["step"]


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
