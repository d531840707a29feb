"""A stochastic convective world on a piece of the HRRR grid, whose one-step law is known (docs/synthetic-world.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from weatherml.config import parse
from weatherml.errors import BadDataError, ConfigError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources.base import SOURCES, Description, Frame, Source, SourceConfig, Static, regular_step, utc
from weatherml.sources.known import GROUND_ATTRIBUTES
from weatherml.sources.world.law import CHANNELS, HOUR, first_guess, step
from weatherml.sources.world.terrain import FULL_SHAPE, Ground, ground, hrrr_crop
from weatherml.variables import TABLE, Variable

Array = npt.NDArray[Any]

SPIN_UP = 48  # hours simulated before the first, so that nothing is left of the first guess
WORLD_STREAM, ORACLE_STREAM = 1, 2  # the oracle's noise is never the world's


@SOURCES.register("synthetic")
class Synthetic(SourceConfig):
    """The embedded world: hourly, seven channels, no input.

    `variables` maps channels to settings over the table's, and chooses: `{refc: {}, t2m: {}}` is a subset.

    Attributes:
        height: rows.
        width: columns.
        hours: length of the record.
        seed: of the ground and of the weather.
        first_time: the first hour, ISO 8601 UTC.
    """

    height: int = Field(64, ge=16, le=FULL_SHAPE[0])
    width: int = Field(64, ge=16, le=FULL_SHAPE[1])
    hours: PositiveInt = 1440
    seed: NonNegativeInt = 0
    first_time: str = "2024-06-01T00:00Z"

    @model_validator(mode="after")
    def _usable(self) -> Synthetic:
        self.selection()
        self.times()
        return self

    def selection(self) -> tuple[Variable, ...]:
        """The wanted channels, in order.

        Raises:
            ConfigError: a name that is no channel, or an unknown setting.
        """
        wanted: dict[str, dict[str, Any]] = self.variables or {name: {} for name in CHANNELS}
        return tuple(_variable(name, settings) for name, settings in wanted.items())

    def times(self) -> Array:
        """(N,) datetime64[s], the hours of the record from `start` to `end`.

        Raises:
            ConfigError: not a time, or none left.
        """
        times = utc(self.first_time, "first_time") + HOUR * np.arange(self.hours)
        kept = self.within(times)
        if len(kept) == 0:
            raise ConfigError(
                f"start, end, months, hours_of_day: leave no hour from {times[0]} to {times[-1]}; widen them"
            )
        return kept

    def build(self, inputs: Sequence[str]) -> SyntheticSource:
        """The world.

        Raises:
            ConfigError: inputs are given.
        """
        if inputs:
            raise ConfigError(f"{inputs[0]}: the synthetic world reads no input; leave --input out")
        grid = hrrr_crop(self.height, self.width)
        return SyntheticSource(config=self, grid=grid, ground=ground(grid, self.seed))


def _variable(name: str, settings: Mapping[str, Any]) -> Variable:
    if name not in CHANNELS:
        raise ConfigError(f"variables.{name}: no channel of the synthetic world; {suggest(name, CHANNELS)}")
    return parse(Variable, {**TABLE[name].settings(), **settings, "name": name}, at=f"variables.{name}")


@dataclass(frozen=True, kw_only=True)
class SyntheticSource(Source):
    """The world of one configuration.

    Attributes:
        config: what it was built from.
        grid: the area.
        ground: its terrain and coast.
    """

    config: Synthetic
    grid: Grid
    ground: Ground

    def describe(self) -> Description:
        """The grid, the channels, the hours and the static fields."""
        static = {"orography": self.ground.orography, "land_binary_mask": self.ground.land}
        times = self.config.times()
        return Description(
            grid=self.grid,
            variables=self.config.selection(),
            times=times,
            step=regular_step(times, "hours_of_day"),
            static={name: Static(values=static[name], attributes=GROUND_ATTRIBUTES[name]) for name in static},
            attributes={"title": "Synthetic convective world", "institution": "weatherml", "source": "simulation"},
        )

    def read(self, times: Array) -> Iterator[Frame]:
        """The world at `times`, simulated from its first hour on: the same bytes wherever reading begins."""
        wanted, names = {int(time) for time in self._hour(times)}, [v.name for v in self.config.selection()]
        for hour, state in enumerate(self._history(max(wanted, default=-1) + 1)):
            if hour in wanted:
                yield {name: state[CHANNELS.index(name)] for name in names}

    def oracle(
        self, state: Array | Mapping[str, Array], init_time: np.datetime64, *, steps: int, members: int, seed: int
    ) -> Array:
        """Draw futures from the world's own law: no forecast can score better on average.

        Args:
            state: the channels at `init_time`, by name or as (C, H, W) in the order of `variables`.
            init_time: UTC.
            steps: hours ahead.
            members: futures drawn, independent given the state.
            seed: of the draws; their noise is independent of the world's and of that at other initial times.

        Returns:
            (steps, members, C, H, W) float32, in the order of `variables`.

        Raises:
            BadDataError: a channel is missing, has missing values or another grid, or the settings choose other
                variables or steps than the world's own.
        """
        self._require_own_steps()
        start = self._whole_state(state, init_time)
        order = [CHANNELS.index(variable.name) for variable in self.config.selection()]
        clock = int(init_time.astype("datetime64[s]").astype(np.int64)) % 2**63
        rng = np.random.default_rng([ORACLE_STREAM, seed, clock])
        states = np.broadcast_to(start, (members, *start.shape))
        futures = np.empty((steps, *states.shape), dtype=np.float32)
        for index in range(steps):
            states = step(states, init_time + (index + 1) * HOUR, self.ground, rng)
            futures[index] = states[:, order]
        return futures

    def _require_own_steps(self) -> None:
        """Raise where positions in a state, or its steps, are not those of the law."""
        if self.config.derived or self.config.stored:
            raise BadDataError("derived, stored: the law is of the world's own channels; prepare them alone")
        if self.config.hours_of_day is not None:
            raise BadDataError("hours_of_day: the law steps from hour to hour; prepare all hours")

    def _whole_state(self, state: Array | Mapping[str, Array], init_time: np.datetime64) -> Array:
        names = [variable.name for variable in self.config.selection()]
        fields = state if isinstance(state, Mapping) else dict(zip(names, state, strict=True))
        missing = [name for name in CHANNELS if name not in fields]
        if missing:
            raise BadDataError(f"{', '.join(missing)}: not in the state; the world's law needs all seven channels")
        whole = np.stack([np.asarray(fields[name], dtype=np.float32) for name in CHANNELS])
        if whole.shape[1:] != self.grid.shape or not np.isfinite(whole).all():
            raise BadDataError(
                f"{init_time}: the state has shape {whole.shape[1:]} or missing values; "
                f"the world needs whole fields of {self.grid.shape}"
            )
        return whole

    def _hour(self, times: Array) -> Array:
        """Hours since the first time."""
        return np.asarray((times - utc(self.config.first_time, "first_time")) // HOUR)

    def _history(self, hours: int) -> Iterator[Array]:
        """The first `hours` states of the record; the noise of each is a pure function of seed and hour."""
        seed, first = self.config.seed, utc(self.config.first_time, "first_time")
        state = first_guess(self.ground, np.random.default_rng([WORLD_STREAM, seed, 0]))
        for count in range(1, hours + SPIN_UP):
            rng = np.random.default_rng([WORLD_STREAM, seed, count])
            state = step(state, first + (count - SPIN_UP) * HOUR, self.ground, rng)
            if count >= SPIN_UP:
                yield state
