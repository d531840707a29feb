"""Timing in turn, and the counting of operations."""

from __future__ import annotations

import time

import torch

from benchmarks.train_step import in_turn, operations


def spin(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def test_each_has_its_own_best_time() -> None:
    pauses = iter([0.06, 0.01, 0.04])
    best = in_turn({"varying": lambda: spin(next(pauses)), "steady": lambda: spin(0.03)}, torch.device("cpu"), 2)
    assert 0.01 <= best["varying"] < 0.03 <= best["steady"]


def test_a_product_is_two_operations_for_each_pair() -> None:
    a = torch.ones(3, 4)
    assert operations(lambda: a @ a.T) == 72  # 2 * 3 * 4 * 3
