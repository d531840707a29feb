"""Two forecasts on the same cases: who is better, and whether more than chance says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from weatherml.verify.scores.bootstrap import known_where, quantiles

LOW, HIGH = 0.025, 0.975
LEAST_BLOCKS = 6
"""Days behind a mark: of fewer, all agree by chance oftener than one time in twenty (2 / 2^5 = 6 %)."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A forecast against a reference by lead time; each (L,), NaN where nothing stands behind it.

    Attributes:
        gain: abs(reference - perfect) - abs(forecast - perfect) in the metric's units; positive is better.
        low: 2.5 % quantile of the gain over resamples that draw the same blocks for both.
        high: 97.5 % quantile.
        skill: the gain as a share of abs(reference - perfect); NaN where that is 0.
        significant: bool, the interval leaves out 0.
    """

    gain: Tensor
    low: Tensor
    high: Tensor
    skill: Tensor
    significant: Tensor


Comparisons: TypeAlias = dict[str, dict[str, dict[str, dict[str, Comparison]]]]
"""By forecast, reference, variable and metric."""


def compare(forecast: Tensor, reference: Tensor, *, perfect: float, enough: Tensor) -> Comparison:
    """Hold a forecast against a reference.

    Args:
        forecast: (1 + resamples, L), the score of all blocks and then of each resample.
        reference: likewise, of the same draws.
        perfect: the value of a perfect forecast.
        enough: (L,) bool, leads with cases in `LEAST_BLOCKS` at least; the others have no interval.
    """
    distance = (reference - perfect).abs()
    gains = distance - (forecast - perfect).abs()
    low, high = quantiles(gains[1:], LOW, HIGH)
    enough = enough & gains[0].isfinite()
    low, high = known_where(enough, low), known_where(enough, high)
    skill = known_where(distance[0] > 0, gains[0] / distance[0])
    return Comparison(gain=gains[0], low=low, high=high, skill=skill, significant=(low > 0) | (high < 0))


def compare_all(
    samples: Mapping[str, Tensor], forecasts: Sequence[str], baselines: Sequence[str], *, perfect: float, enough: Tensor
) -> dict[tuple[str, str], Comparison]:
    """Each forecast against every baseline, then every other forecast, by (forecast, reference).

    Args:
        samples: by name (1 + resamples, L); who has no such score is left out.
        forecasts: names.
        baselines: names.
        perfect: as in `compare`.
        enough: as in `compare`.
    """
    return {
        (name, other): compare(samples[name], samples[other], perfect=perfect, enough=enough)
        for name in forecasts
        for other in (*baselines, *forecasts)
        if other != name and name in samples and other in samples
    }
