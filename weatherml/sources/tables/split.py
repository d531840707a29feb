"""The division of days and places into training, validation and test, without leakage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, model_validator

from weatherml.config import Config
from weatherml.errors import ConfigError
from weatherml.registry import suggest
from weatherml.sources.sequences import NO_PART, PARTS

Array = npt.NDArray[Any]
DAY = np.timedelta64(86400, "s")


class TableSplit(Config):
    """Shares of the days from the first to the last of all places: training, then validation, then test.

    Attributes:
        validation: share of the days.
        test: share of the days, at the end.
        gap: days without a sample between two parts, taken from the validation part and then from the training part;
            None takes length + lead, so that no day enters two parts' samples.
        places: held out altogether: they serve the test part alone, in its days.
    """

    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)
    gap: NonNegativeInt | None = None
    places: tuple[str, ...] = Field(default=())

    @model_validator(mode="after")
    def _leaves_training(self) -> TableSplit:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self

    def ends(self, times: Array, gap: int) -> Array:
        """(4,) days: the first after training, the first of validation, the first after it, the first of the test."""
        first, last = np.nanmin(times), np.nanmax(times)
        days = int((last - first) / DAY) + 1
        test = days - round(self.test * days)
        validation_end = test - gap if self.test else test
        train = min(test - round(self.validation * days), validation_end)
        return np.asarray(first + np.array([train, train + gap, validation_end, test]) * DAY)

    def parts(self, times: Array, series: Sequence[str], ends: Array) -> Array:
        """(N, T) int8: the part in whose days each time lies.

        Raises:
            ConfigError: a held-out place that is not there.
        """
        for place in self.places:
            if place not in series:
                raise ConfigError(f"split.places: no place {place!r}; {suggest(place, series)}")
        train_end, validation, validation_end, test = ends
        days = [times < train_end, (times >= validation) & (times < validation_end), times >= test]
        part = np.select(days, range(len(PARTS)), NO_PART)
        elsewhere = np.isin(series, self.places)[:, None] & (part != PARTS.index("test"))
        return np.where(elsewhere, NO_PART, part).astype(np.int8)
