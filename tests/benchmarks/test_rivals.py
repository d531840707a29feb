"""How rivals are compared: the time at which a curve first reaches a loss."""

from __future__ import annotations

import math

import pytest

from benchmarks.rivals import Curve

CURVE = Curve(name="ours", width=8, parameters=1, peak_bytes=1, points=((1.0, 0.9), (3.0, 0.5), (4.0, 0.6), (5.0, 0.3)))


@pytest.mark.parametrize(
    ("target", "seconds"),
    [
        (0.95, 1.0),  # there at the first point
        (0.8, 1.5),  # 1 + (0.9 - 0.8) / (0.9 - 0.5) * 2
        (0.5, 3.0),
        (0.45, 4.5),  # 4 + (0.6 - 0.45) / (0.6 - 0.3): not before it rose again
        (0.2, math.inf),
    ],
)
def test_a_loss_is_reached_between_two_points(target: float, seconds: float) -> None:
    assert CURVE.reached(target) == pytest.approx(seconds)


def test_the_least_loss_is_the_best_and_not_the_last() -> None:
    worsening = Curve(name="ours", width=8, parameters=1, peak_bytes=1, points=((1.0, 0.5), (2.0, 0.7)))
    assert worsening.least == 0.5
