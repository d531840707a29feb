"""Under which conditions the same cases are scored apart: the hour of the day, the regime, regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weatherml.variables import Variable
from weatherml.verify.example import middle_threshold
from weatherml.verify.files.truth import Array, Frames

HOURS = 6
ACTIVE = 0.01
"""Share of the area beyond the threshold from which a field is active: fixed, so that evaluations compare."""
HOUR_OF_DAY, REGIME, REGION = "hour_of_day", "regime", "region"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of an evaluation.

    Attributes:
        storm: the variable whose truth tells the regime; None where no variable has thresholds.
        regions: by name, (H, W) bool.
    """

    storm: Variable | None
    regions: dict[str, Tensor]

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Every condition with its labels; regions last."""
        hours = [(HOUR_OF_DAY, f"{start:02}-{start + HOURS:02}") for start in range(0, 24, HOURS)]
        regimes = [(REGIME, "calm"), (REGIME, "active")] if self.storm else []
        return [*hours, *regimes, *((REGION, name) for name in self.regions)]

    def belongs(self, valid_times: Array, truth: Frames, rows: Tensor) -> Tensor:
        """Which leads (L,) belong to each label but the regions: (labels, L) bool."""
        hour = (valid_times - valid_times.astype("datetime64[D]")) // np.timedelta64(HOURS, "h")
        groups = [hour == part for part in range(24 // HOURS)]
        if self.storm:
            share = event_share(truth[self.storm.name], self.storm, rows.numpy())
            groups += [share < ACTIVE, share >= ACTIVE]
        return torch.from_numpy(np.stack(groups))


def storm_variable(variables: list[Variable], first: str) -> Variable | None:
    """The variable that tells the regime: `first` if it has thresholds, else the first that has."""
    able = [variable for variable in variables if variable.thresholds]
    return next((variable for variable in able if variable.name == first), able[0] if able else None)


def event_share(truth: Array, variable: Variable, rows: Array) -> Array:
    """Share of the known area (L, H, W) beyond the middle threshold, (L,); NaN where nothing is known."""
    threshold = middle_threshold(variable)
    assert threshold is not None  # else it would be no storm variable
    known = np.isfinite(truth)
    area = known.sum(-1) @ rows
    events = (variable.reaches(truth, threshold) & known).sum(-1) @ rows
    return np.asarray(np.divide(events, area, out=np.full(len(truth), np.nan), where=area > 0))
