"""The members' noise: normal, reproducible whatever the company, correlated as asked, no stream twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weatherml.run.noise import MemberNoise, normal

TIMES = np.array(["1955-03-01T06", "2024-06-01T00", "2024-06-01T00", "2024-06-01T01"], dtype="datetime64[s]")
MEMBERS = np.array([0, 0, 1, 1])


def drawn(rows: list[int], *, seed: int = 7, step: int = 3, correlation: float = 0.0) -> torch.Tensor:
    noise = MemberNoise(seed, TIMES[rows], MEMBERS[rows], correlation=correlation).at(step)
    return torch.stack([noise((len(rows), 2, 5)), noise((len(rows), 2, 5))], dim=1)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_a_row_is_the_same_in_any_company(correlation: float) -> None:
    together = drawn([0, 1, 2, 3], correlation=correlation)
    for rows in ([0], [3], [2, 1], [3, 0, 2]):
        assert torch.equal(drawn(rows, correlation=correlation), together[rows])


def test_every_row_step_and_draw_is_a_stream_of_its_own() -> None:
    streams = [
        *drawn([0, 1, 2, 3]).flatten(0, 1),
        *drawn([0, 1], step=4).flatten(0, 1),
        *drawn([0], seed=8).flatten(0, 1),
    ]
    first = [float(stream[0, 0]) for stream in streams]
    assert len(set(first)) == len(streams) == 14  # 4 x 2 + 2 x 2 + 1 x 2


def test_seeds_are_used_whole() -> None:
    """torch's generator keeps the low 32 bits of a seed on a CPU; streams 2^32 apart must differ all the same."""
    cpu = torch.device("cpu")
    assert not torch.equal(normal((1, 2, 3), (9,), cpu), normal((1 + 2**32, 2, 3), (9,), cpu))
    assert not torch.equal(normal((1, 2), (9,), cpu), normal((1, 2, 0), (9,), cpu))


def test_the_numbers_are_standard_normal() -> None:
    values = MemberNoise(0, TIMES, MEMBERS).at(0)((4, 100_000)).double()
    assert values.dtype == torch.float64
    # four standard errors of the mean, 1 / sqrt(n), the variance, sqrt(2 / n), and the kurtosis, sqrt(24 / n)
    n = 100_000
    assert values.mean(1).abs().max() < 4 / n**0.5
    assert (values.var(1) - 1).abs().max() < 4 * (2 / n) ** 0.5
    assert ((values**4).mean(1) - 3).abs().max() < 4 * (96 / n) ** 0.5  # of a plain mean of x^4: variance 105 - 9
    assert torch.corrcoef(values).fill_diagonal_(0).abs().max() < 4 / n**0.5


def test_ar1_correlation_is_as_asked_and_the_variance_stays() -> None:
    rho, n = 0.8, 40_000
    noise = MemberNoise(3, TIMES[:1], MEMBERS[:1], correlation=rho)
    steps = torch.stack([noise.at(step)((1, n))[0] for step in range(5)]).double()
    assert (steps.var(1) - 1).abs().max() < 4 * (2 / n) ** 0.5
    found = torch.corrcoef(steps)
    for lag in range(1, 5):
        error = 4 * (1 - rho ** (2 * lag)) / n**0.5  # of a correlation coefficient
        assert (found.diagonal(lag) - rho**lag).abs().max() < error


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_any_step_can_be_the_first(correlation: float) -> None:
    """So that a forecast goes on from any lead; also backwards, as a batch that runs again does."""
    whole = MemberNoise(1, TIMES, MEMBERS, correlation=correlation)
    steps = [whole.at(step)((4, 3)) for step in range(6)]
    late = MemberNoise(1, TIMES, MEMBERS, correlation=correlation)
    for step in (4, 5, 2):
        assert torch.equal(late.at(step)((4, 3)), steps[step])


def test_draws_of_other_shapes_have_their_own_memory() -> None:
    noise = MemberNoise(1, TIMES, MEMBERS, correlation=0.5)
    shapes = [(4, 3), (4, 2, 2)]
    for step in range(3):
        at = noise.at(step)
        assert [tuple(at(shape).shape) for shape in shapes] == shapes
