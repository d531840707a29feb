"""The contract of a baseline: a forecast made from the truth's own store, read like a file's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.config import Config
from weatherml.registry import Registry
from weatherml.verify.files.truth import Truth

Array = npt.NDArray[Any]
BASELINES: Registry[BaselineConfig] = Registry("baselines")


class BaselineConfig(Config, ABC):
    """Parameters of a baseline."""

    @abstractmethod
    def build(self, truth: Truth) -> Baseline:
        """The baseline of this dataset.

        Raises:
            BadDataError: the dataset lacks what it needs.
        """


class Baseline(ABC):
    """A forecast for any initial time that `available` allows.

    Attributes:
        name: in the scores.
        truth: what it is made from.
        members: M.
    """

    members: int = 1

    def __init__(self, name: str, truth: Truth) -> None:
        self.name = name
        self.truth = truth

    @property
    def variables(self) -> list[str]:
        """What it forecasts, in the truth's order."""
        return list(self.truth.variables)

    def available(self, init_times: Array) -> Array:
        """Whether it can start at each of `init_times` (datetime64[s]), as bool: where the truth has a state."""
        return self.truth.has(init_times)

    @abstractmethod
    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """(L, M, H, W) float32 of the variable `name` at `lead_times` (timedelta64[s]); NaN where unknown."""
