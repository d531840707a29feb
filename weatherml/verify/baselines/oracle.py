"""Oracle: the synthetic world's own ensemble of its future, the best that any forecast can score."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, cast

import numpy as np
from pydantic import PositiveInt

from weatherml.config import parse_member
from weatherml.errors import BadDataError
from weatherml.sources.base import SOURCES
from weatherml.verify.baselines.base import BASELINES, Array, BaselineConfig
from weatherml.verify.baselines.drawn import DrawnBaseline
from weatherml.verify.files.truth import Truth


class World(Protocol):
    """A source that knows its own law."""

    def oracle(self, state: Array, init_time: np.datetime64, *, steps: int, members: int, seed: int) -> Array:
        """States drawn from the world's law: (steps, members, C, H, W), from `state` (C, H, W)."""


@BASELINES.register("oracle")
class OracleConfig(BaselineConfig):
    """Only for datasets of the synthetic world.

    Attributes:
        members: drawn for each case.
        seed: of the draws.
    """

    members: PositiveInt = 10
    seed: int = 0

    def build(self, truth: Truth) -> Oracle:
        """The oracle of the world that the dataset was made from.

        Raises:
            BadDataError: made from something whose law nobody knows.
        """
        settings: dict[str, Any] = truth.dataset.attrs.get("source_config") or {}
        kind = settings.get("kind")
        if kind != "synthetic":
            raise BadDataError(
                f"{truth.path}: comes from source {kind!r}, whose future nobody can draw; "
                "the baseline oracle needs a dataset of the synthetic world"
            )
        world = parse_member(SOURCES, settings, at="source").build(())
        return Oracle(self, truth, cast(World, world))


class Oracle(DrawnBaseline):
    """Draws each case once, for all variables and leads."""

    def __init__(self, config: OracleConfig, truth: Truth, world: World) -> None:
        super().__init__(config.kind, truth)
        self.members = config.members
        self.seed = config.seed
        self.world = world
        self.states = lru_cache(maxsize=1)(self._states)

    def draw(self, init_time: np.datetime64, steps: int, name: str) -> Array:
        """The world's members."""
        return self.states(init_time, steps)[:, :, self.variables.index(name)]

    def _states(self, init_time: np.datetime64, steps: int) -> Array:
        fields = self.truth.read(np.array([init_time]), self.variables)
        state = np.concatenate([fields[name] for name in self.variables])
        # another stream for each case, the same one whatever the other cases are
        seed = self.seed + int(init_time.astype("datetime64[s]").astype(np.int64)) // 60
        return self.world.oracle(state, init_time, steps=steps, members=self.members, seed=seed)
