"""The contract of a way to combine runs: fitted on validation cases, it gives a rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from weatherml.config import Config
from weatherml.forecast.blend.cases import Cases
from weatherml.forecast.blend.rules import Rule
from weatherml.registry import Registry

COMBINERS: Registry[Combiner] = Registry("combiners")


class Combiner(Config, ABC):
    """How runs are combined.

    Attributes:
        fitted: False where nothing is learnt from the validation part.
    """

    fitted: ClassVar[bool] = True

    @abstractmethod
    def fit(self, cases: Cases) -> Rule:
        """The rule that these cases teach."""

    def check(self, *, binary: bool) -> None:
        """Raise ConfigError where settings do not suit fields, or probabilities (`binary`)."""
