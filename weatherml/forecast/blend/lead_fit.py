"""Fit a blend of forecasts, by variable and lead, on forecasts from initial times of the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.packing import unpack
from weatherml.data.store import Dataset
from weatherml.forecast.blend.cases import MOST, Cases, cross_fitted, known_cases, require_blocks, time_blocks
from weatherml.forecast.blend.config import BlendConfig, Fitted
from weatherml.forecast.blend.fit import Blend, fit_blend
from weatherml.forecast.blend.judge import rows
from weatherml.forecast.blend.members import Members
from weatherml.forecast.blend.rules import Linear
from weatherml.forecast.blend.spread import Spread, pooled_variance, within
from weatherml.forecast.derive import READ_VALUES, pieces

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class LeadFit:
    """How the forecasts of some runs are blended, one lead at a time.

    Attributes:
        config: how.
        runs: names.
        sizes: members of each run's forecast.
    """

    config: BlendConfig
    runs: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def pooled(self) -> bool:
        """Members stand side by side, those of deterministic runs too."""
        return not self.config.combine.fitted

    @property
    def members(self) -> int | None:
        """M of the blend; None where it has one forecast alone."""
        return sum(self.sizes if self.pooled else [size for size in self.sizes if size > 1]) or None

    @property
    def inflated(self) -> bool:
        """The members' deviations are multiplied."""
        return self.config.calibration_for("forecast") == "spread"

    def unfitted(self, names: Sequence[str], steps: int) -> Fitted:
        """The pool of members as they are, for which nothing need be known."""
        return self._fitted({name: (self._pool(),) * steps for name in names})

    def __call__(self, made: Members, dataset: Dataset, indices: Array, steps: int) -> tuple[Fitted, dict[str, Any]]:
        """What the forecasts from the times at `indices` teach, and the scores by variable and lead.

        Raises:
            BadDataError: too few initial times.
        """
        blends, spread, report = {}, {}, {}
        for name in dataset.names:
            leads = sampled(made, dataset, name, indices, steps=steps, blocks=self.config.blocks)
            require_blocks(leads[0][0], f"{dataset.path}: {name}")
            blends[name] = tuple(self._blend(cases) for cases, _ in leads)
            spreads = [self._spread(cases, squares) for cases, squares in leads]
            spread[name] = tuple(each.factor() for each in spreads if each is not None)
            report[name] = [self._scores(*lead, each) for lead, each in zip(leads, spreads, strict=True)]
        return self._fitted(blends, spread if self.inflated else {}), {"validation": report}

    def _fitted(
        self, blends: dict[str, tuple[Blend, ...]], spread: dict[str, tuple[float, ...]] | None = None
    ) -> Fitted:
        kept = {name: factors for name, factors in (spread or {}).items() if factors}
        return Fitted(task="forecast", runs=self.runs, combine=self.config.combine.kind, blends=blends, spread=kept)

    def _pool(self) -> Blend:
        total = sum(self.sizes)
        return Blend(rule=Linear(weights=tuple(size / total for size in self.sizes)))

    def _blend(self, cases: Cases) -> Blend:
        return self._pool() if self.pooled else fit_blend(cases, self.config.combine, None)

    def _spread(self, cases: Cases, squares: Array) -> Spread | None:
        if self.members is None:
            return None
        centre = cross_fitted(cases, self._blend)
        pool = pooled_variance(squares, cases.predictions, self.sizes)
        variance = pool if self.pooled else squares / (self.members - 1)
        return Spread.of(cases, centre, variance, self.members)

    def _scores(self, cases: Cases, squares: Array, spread: Spread | None) -> dict[str, Any]:
        found: dict[str, Any] = rows(
            cases.predicted(cross_fitted(cases, lambda seen: self._blend(seen).beside)), self.runs
        )
        if spread is not None:
            pool, total = self._pool()(cases.predictions), sum(self.sizes)
            before = Spread.of(cases, pool, pooled_variance(squares, cases.predictions, self.sizes), total)
            after = spread.calibrated_ratio() if self.inflated else spread.ratio()
            found["spread_skill"] = {"before": before.ratio(), "after": after}
        return found


def sampled(
    made: Members, dataset: Dataset, name: str, indices: Array, *, steps: int, blocks: int
) -> list[tuple[Cases, Array]]:
    """By lead: the runs' ensemble means at points drawn once for all, and (n,) `within` of their members there."""
    H, W = dataset.grid.shape
    count = min(H * W, max(1, MOST // len(indices)))
    points = np.sort(np.random.default_rng(0).choice(H * W, count, replace=False))
    table = np.empty((steps, len(made.sizes) + 2, len(indices), count), np.float32)
    for case, index in enumerate(indices):
        for leads in pieces(range(steps), max(1, READ_VALUES // (H * W * sum(made.sizes)))):
            table[leads.start : leads.stop, :, case] = _columns(made, dataset, name, (case, index), leads)[..., points]
    weights = np.repeat(dataset.grid.row_weights, W)[points]
    in_time = time_blocks(dataset.times[indices], blocks)[:, None]
    return [_split(values, weights, in_time) for values in table]


def _columns(made: Members, dataset: Dataset, name: str, at: tuple[int, int], leads: range) -> Array:
    """(l, K + 2, H W): the runs' means, the squares within them, the truth."""
    case, index = at
    fields = made.read(name, case, leads)
    first = index + 1 + leads.start
    packed = dataset.read(slice(first, first + len(leads)), name)
    truth = unpack(packed, dataset.packings[dataset.names.index(name)])
    columns = np.stack([*(each.mean(1) for each in fields), within(fields), truth], axis=1)
    return columns.reshape(*columns.shape[:2], -1)


def _split(values: Array, weights: Array, blocks: Array) -> tuple[Cases, Array]:
    # the squares go along as if a run said them, so that what is unknown is left out of both
    whole = known_cases(values[:-1], values[-1], weights, blocks, binary=False)
    return whole.predicted(whole.predictions[:-1]), whole.predictions[-1]
