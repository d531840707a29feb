"""What counts as lost in the benchmark of recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.recovery import Life, figure, read_steps, saved_step

LIFE = Life(code=-9, steps={4: 2.0, 5: 2.5, 6: 3.25}, signalled=3.5, ended=3.75)


@pytest.mark.parametrize(
    ("saved", "lost"),
    [
        (6, (0, 0.25)),  # 3.5 - 3.25
        (4, (2, 1.5)),  # steps 5 and 6; 3.5 - 2
        (3, (3, 1.5)),  # saved by the life before: since the first step of this one
    ],
)
def test_lost_is_what_came_after_the_save(saved: int, lost: tuple[int, float]) -> None:
    assert LIFE.lost(saved) == lost
    assert (LIFE.exit_s, LIFE.first_step_s) == (0.25, 2.0)


def test_finished_checkpoints_alone_are_saved(tmp_path: Path) -> None:
    assert saved_step(tmp_path) == 0
    for name in ("step-9", "step-12", ".step-20.partial"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "complete.json").touch()
    (tmp_path / "checkpoints" / "step-15").mkdir()
    assert saved_step(tmp_path) == 12


def test_steps_and_figures(tmp_path: Path) -> None:
    assert read_steps(tmp_path / "none") == {}
    (tmp_path / "steps.txt").write_text("1 10.5\n2 11.25\n")
    assert read_steps(tmp_path / "steps.txt") == {1: 10.5, 2: 11.25}
    assert figure(4.0, 10.0) == {"ours": 4.0, "limit": 10.0, "ratio": 2.5}
