"""How good a model is while it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from weatherml.models.base import Model

Pause = Callable[[], object]
"""Called between the batches of a validation, which may be long; raises where it is to end there."""


def no_pause() -> None:
    """Go on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bands:
    """Spread by bands of wavenumbers, of normalised fields: (bands, C) each, the widest waves first, over all leads.

    Attributes:
        spread_skill: the spread-skill ratio; NaN where there is no error.
        error: the standard error of its logarithm, over cases.
        share: of a variable's squared error.
    """

    spread_skill: Tensor
    error: Tensor
    share: Tensor


@dataclass(frozen=True, kw_only=True)
class Skill:
    """How good a model is on the validation part.

    Attributes:
        ratio: its error over that of a reference, mean over variables and leads; below 1 is skill. The error of a
            deterministic forecast is the RMSE, that of a generative model the fair CRPS, that of a classifier its loss.
        by_variable: the ratio, mean over leads.
        reference: what the error is compared with.
        roughness_db: how far forecasts' power at the grid's scale is from the truth's, mean of |10 log10|:
            blurring a forecast lowers its RMSE, and this tells.
        spread_skill: the spread-skill ratio of each variable, mean over leads; empty of one member.
        spread_skill_error: the standard error of its logarithm, over cases.
        bands: the same by bands of wavenumbers, of a model with gains for them.
    """

    ratio: float
    by_variable: dict[str, float]
    reference: str = "persistence"
    roughness_db: float = 0.0
    spread_skill: dict[str, float] = field(default_factory=dict)
    spread_skill_error: dict[str, float] = field(default_factory=dict)
    bands: Bands | None = None

    @property
    def score(self) -> float:
        """What the best checkpoint has least of: the error ratio, a tenth worse for each dB of roughness."""
        return self.ratio * (1 + self.roughness_db / 10)

    def by_band(self) -> dict[str, list[float]]:
        """The spread-skill ratio of each variable's bands, the widest waves first, where there are any."""
        if self.bands is None:
            return {}
        return dict(zip(self.by_variable, self.bands.spread_skill.T.tolist(), strict=True))

    def values(self) -> dict[str, float]:
        """What is logged, by name."""
        by_variable = {f"skill/{name}": ratio for name, ratio in self.by_variable.items()}
        spread_skill = {f"spread_skill/{name}": ratio for name, ratio in self.spread_skill.items()}
        return {"skill": self.ratio, "roughness_db": self.roughness_db} | by_variable | spread_skill


class Validate(Protocol):
    """Measures a model in evaluation mode."""

    def __call__(self, model: Model, pause: Pause = no_pause) -> Skill:
        """Its skill."""
