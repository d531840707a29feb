"""Laws of noise levels: one family test over every member, then each against its own law."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from weatherml.config import parse, parse_member
from weatherml.diffusion.levels import LEVELS
from weatherml.diffusion.levels.base import Levels
from weatherml.diffusion.schedule import Schedule
from weatherml.errors import ConfigError

MEMBERS = sorted(LEVELS)
LAWS = {  # of ln sigma
    "log-normal": (LEVELS["log-normal"](mean=-0.8, std=1.5), stats.norm(-0.8, 1.5)),  # type: ignore[call-arg]
    "log-uniform": (LEVELS["log-uniform"](low=0.01, high=20.0), stats.uniform(math.log(0.01), math.log(2000.0))),  # type: ignore[call-arg]
    "sech": (LEVELS["sech"](mean=0.5), stats.hypsecant(0.5)),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("stratified", [True, False])
def test_draws_follow_the_law(name: str, stratified: bool) -> None:
    levels, law = LAWS[name]
    torch.manual_seed(0)
    drawn = levels.model_copy(update={"stratified": stratified}).draw(4096)
    assert drawn.shape == (4096,)
    assert drawn.dtype == torch.float32
    assert stats.kstest(drawn.log().numpy(), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", MEMBERS)
def test_quantiles_are_the_laws(name: str) -> None:
    levels, law = LAWS[name]
    p = torch.linspace(0.001, 0.999, 21, dtype=torch.float64)
    torch.testing.assert_close(levels.quantile(p).log(), torch.from_numpy(law.ppf(p.numpy())), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MEMBERS)
def test_stratified_draws_fill_every_share_once_and_in_random_order(name: str) -> None:
    levels, law = LAWS[name]
    torch.manual_seed(0)
    share = law.cdf(levels.draw(64).double().log().numpy()) * 64
    assert sorted(share.astype(int).tolist()) == list(range(64))
    assert abs(stats.spearmanr(share, range(64)).statistic) < 0.4


@pytest.mark.parametrize("name", MEMBERS)
def test_stratified_means_vary_less_about_the_same_value(name: str) -> None:
    levels, _ = LAWS[name]
    independent = levels.model_copy(update={"stratified": False})

    def means(law: Levels) -> torch.Tensor:
        return torch.stack([(1 + law.draw(8)).reciprocal().mean() for _ in range(2000)])

    torch.manual_seed(0)
    a, b = means(levels), means(independent)
    assert float(a.mean()) == pytest.approx(float(b.mean()), abs=4 * float(b.std()) / 2000**0.5)
    assert a.std() < 0.3 * b.std()


@pytest.mark.parametrize("name", MEMBERS)
def test_draws_come_from_the_global_state_and_are_positive_and_finite(name: str) -> None:
    torch.manual_seed(5)
    first = LEVELS[name]().draw(3)
    torch.manual_seed(5)
    assert torch.equal(first, LEVELS[name]().draw(3))
    ends = LEVELS[name]().quantile(torch.tensor([1e-9, 1 - 1e-9], dtype=torch.float64)).float()
    assert (ends > 0).all()
    assert ends.isfinite().all()


def test_sech_is_the_cosine_schedule_in_continuous_time() -> None:
    p = (torch.arange(900, dtype=torch.float64) + 1) / 1000
    # the schedule's offset of 0.008 lifts the least levels; from t = 100 on it is within 8 %
    ratio = LEVELS["sech"]().quantile(p)[100:] / Schedule().sigmas()[100:900]
    assert float(ratio.log().abs().max()) < 0.08


def test_settings() -> None:
    levels = parse_member(LEVELS, {"kind": "log-normal", "mean": -0.8}, at="levels")
    assert levels.settings() == {"kind": "log-normal", "stratified": True, "mean": -0.8, "std": 1.2}
    with pytest.raises(ConfigError, match=r"levels: low \(2\.0\) must be below high \(1\.0\)"):
        parse(LEVELS["log-uniform"], {"low": 2.0, "high": 1.0}, at="levels")
