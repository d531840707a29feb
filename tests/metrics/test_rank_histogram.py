"""Rank histograms: the ranks, random ties, and the test of flatness."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import scores
import torch
import xarray as xr

from weatherml.metrics.rank_histogram import RankHistogram, flatness_p_value, lattice, random_ranks

GENERATOR = torch.Generator().manual_seed(11)


def draws(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


def everywhere(truth: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(truth, dtype=torch.bool)


def sums(forecast: torch.Tensor, truth: torch.Tensor, metric: RankHistogram | None = None) -> dict[str, torch.Tensor]:
    return (metric or RankHistogram()).statistics(forecast, truth, everywhere(truth), torch.ones(truth.shape[-2]))


def test_frequencies_as_in_scores_where_nothing_ties() -> None:
    forecast, truth = draws(2, 5, 9, 8), draws(2, 9, 8)
    expected = scores.probability.rank_histogram(
        xr.DataArray(forecast.numpy(), dims=("lead", "member", "y", "x")),
        xr.DataArray(truth.numpy(), dims=("lead", "y", "x")),
        "member",
        preserve_dims="lead",
    )
    found = RankHistogram().diagram(sums(forecast, truth))
    assert (found.dim, found.bins.tolist()) == ("rank", [0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(found.arrays["frequency"], expected.transpose("lead", "rank"), rtol=1e-6)


def test_golden_reliability_index() -> None:
    truth = torch.tensor([[[0.0, 5.0, 5.0, 9.0]]])
    forecast = torch.tensor([[[[1.0, 1.0, 1.0, 1.0]], [[2.0, 2.0, 2.0, 2.0]]]])
    table = sums(forecast, truth)
    assert table["ranks"].tolist() == [[1, 0, 3]]
    # |1/4 - 1/3| + |0 - 1/3| + |3/4 - 1/3| = 1/12 + 4/12 + 5/12
    assert float(RankHistogram().value(table)) == pytest.approx(10 / 12)


def test_ties_fall_evenly_on_the_tied_ranks() -> None:
    truth = torch.zeros(1, 200, 200)
    forecast = torch.tensor([-1.0, 0.0, 0.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 200, 200).contiguous()
    (ranks,) = sums(forecast, truth)["ranks"].tolist()
    assert ranks[0] == ranks[4] == 0  # one member is below, one above
    # 40,000 points over three ranks: the standard deviation of a share is sqrt(2/9 / 40,000) = 0.0024
    assert [share / 40_000 for share in ranks[1:4]] == pytest.approx([1 / 3] * 3, abs=0.01)


def test_ties_are_reproducible_and_differ_from_case_to_case() -> None:
    forecast = torch.cat([draws(1, 3, 40, 40), draws(1, 3, 40, 40)]).clamp_min(1.0)
    truth = draws(2, 40, 40).clamp_min(1.0)
    mask = everywhere(truth)
    both = random_ranks(forecast, truth, mask)
    np.testing.assert_array_equal(random_ranks(forecast.clone(), truth.clone(), mask), both)
    np.testing.assert_array_equal(random_ranks(forecast[1:], truth[1:], mask[1:]), both[1:])
    tied = ((truth == 1.0).all(0) & (forecast == 1.0).all(1).all(0)).numpy()
    assert tied.sum() > 300
    assert (both[0] != both[1])[tied].mean() == pytest.approx(3 / 4, abs=0.08)  # of four ranks, any other


def test_p_value_as_in_scipy() -> None:
    counts = torch.tensor([[30.0, 20.0, 25.0, 25.0], [100.0, 10.0, 10.0, 90.0], [0.0] * 4], dtype=torch.float64)
    found = flatness_p_value(counts)
    expected = [scipy.stats.chisquare(row).pvalue for row in counts[:2].numpy()]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-9)
    assert found[2].isnan()


def test_a_calibrated_ensemble_is_flat_in_spite_of_correlated_cells_and_ties() -> None:
    generator = torch.Generator().manual_seed(1)

    def smooth(*shape: int) -> torch.Tensor:
        noise = torch.randn(*shape, 76, 76, generator=generator)
        pooled = torch.nn.functional.avg_pool2d(noise, 13, stride=1)
        return (13 * pooled).clamp_min(0.0)  # half of it ties

    calibrated, narrow = {}, {}
    for _ in range(12):
        states = smooth(4, 9)
        for total, forecast in ((calibrated, states[:, 1:]), (narrow, 0.5 * states[:, 1:])):
            for name, value in sums(forecast, states[:, 0]).items():
                total[name] = total.get(name, torch.zeros(())) + value
    assert (RankHistogram().diagram(calibrated).arrays["p_value"] > 0.01).all()
    assert (RankHistogram().diagram(narrow).arrays["p_value"] < 0.01).all()
    assert (RankHistogram().value(calibrated) < 0.5 * RankHistogram().value(narrow)).all()


def test_lattice() -> None:
    places = [[8 + 16 * row, 8 + 16 * column] for row in range(4) for column in range(2)]
    assert np.argwhere(lattice(64, 40, 16).numpy()).tolist() == places
    assert lattice(3, 5, 16).sum() == 1
