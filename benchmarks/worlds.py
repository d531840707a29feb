"""Stochastic worlds whose law is known, so that the best attainable score is known too.

Each is a Markov chain of fields on a doubly periodic grid: the last `memory` states say all that can be
known of the next one. An ensemble drawn from the law itself (`World.oracle`) is the perfect forecast, and
its fair CRPS, which does not depend on the number of members, is the attainable one.

    python -m benchmarks.worlds waves --output DIR --times 2000 --seed 0

writes `world.nc` (hourly CF NetCDF) and `prepare.yaml` (the settings for `wml prepare netcdf --config`);
each `--init TIME` adds an initial time to `oracle.nc`, a forecast that `wml evaluate` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from scipy.ndimage import map_coordinates

from benchmarks.files import cf_dataset
from weatherml.sources.world.noise import Blend, correlated

Array = npt.NDArray[Any]
Law = Callable[[Array, Array], Array]
"""(..., memory, C, H, W) last states and (..., C, H, W) noise of unit variance to (..., C, H, W), standardised."""

SHAPE = (64, 64)
SPACING = 3000.0  # m
START = np.datetime64("2024-01-01T00:00:00", "s")
HOUR = np.timedelta64(3600, "s")
SPIN_UP = 300


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One variable, and how its physical value x comes from the standardised z that the law works on.

    Attributes:
        name: in the files.
        units: of x.
        scale: x = centre + scale z, or scale exp(growth z) where `growth` is set.
        centre: the value of z = 0.
        growth: of the logarithm of x with z; makes x log-normal.
        noise: (length in cells, share) of the forcing's independent parts; the squares of the shares add up to 1.
        minimum: the smallest physical value, where there is one.
        transform: that suits it, for `prepare`.
    """

    name: str
    units: str
    noise: Blend
    scale: float = 1.0
    centre: float = 0.0
    growth: float | None = None
    minimum: float | None = None
    transform: str = "none"

    @property
    def attributes(self) -> dict[str, Any]:
        """What a file says of it."""
        return {"units": self.units} | ({} if self.minimum is None else {"valid_min": np.float32(self.minimum)})

    def physical(self, z: Array) -> Array:
        """The variable in its units."""
        return self.centre + self.scale * z if self.growth is None else self.scale * np.exp(self.growth * z)

    def standard(self, x: Array) -> Array:
        """The inverse of `physical`."""
        return (x - self.centre) / self.scale if self.growth is None else np.log(x / self.scale) / self.growth


@dataclass(frozen=True, kw_only=True)
class World:
    """A law and the names of what it moves.

    Attributes:
        channels: the variables, in order.
        law: one step, in standardised values.
        memory: states that the next one depends on.
    """

    channels: tuple[Channel, ...]
    law: Law
    memory: int = 1

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """The channels' names, and their attributes in files."""
        return {channel.name: channel.attributes for channel in self.channels}

    def step(self, history: Array, rng: np.random.Generator) -> Array:
        """Draw (..., C, H, W) the state after (..., memory, C, H, W), float32 in physical units."""
        each = enumerate(self.channels)
        standard = np.stack([channel.standard(history[..., c, :, :]) for c, channel in each], axis=-3)
        *lead, _, _, height, width = history.shape
        noise = correlated(rng, (*lead, height, width), tuple(channel.noise for channel in self.channels))
        return self._physical(self.law(standard, noise))

    def oracle(self, history: Array, *, steps: int, members: int, rng: np.random.Generator) -> Array:
        """Draw (steps, members, C, H, W) forecasts from (memory, C, H, W), the last states."""
        states = np.repeat(history[None], members, axis=0)
        return self._run(states, steps, rng)

    def simulate(self, times: int, rng: np.random.Generator, shape: tuple[int, int] = SHAPE) -> Array:
        """Draw (times, C, H, W) of the stationary world."""
        rest = self._physical(np.zeros((self.memory, len(self.channels), *shape), np.float32))
        return self._run(rest, SPIN_UP + times, rng)[SPIN_UP:]

    def _run(self, history: Array, steps: int, rng: np.random.Generator) -> Array:
        states = np.empty((steps, *history.shape[:-4], *history.shape[-3:]), np.float32)
        for index in range(steps):
            states[index] = self.step(history, rng)
            history = np.concatenate([history[..., 1:, :, :, :], states[index][..., None, :, :, :]], axis=-4)
        return states

    def _physical(self, standard: Array) -> Array:
        each = enumerate(self.channels)
        fields = [channel.physical(standard[..., c, :, :]) for c, channel in each]
        return np.stack(fields, axis=-3).astype(np.float32)


def advect(fields: Array, shift_y: Array | float, shift_x: Array | float) -> Array:
    """Carry (..., H, W) fields along by `shift` cells, semi-Lagrangian, cubic; opposite edges are neighbours.

    Cubic, and so not what any of our networks does to a field by itself.
    """
    y, x = np.indices(fields.shape[-2:], np.float32)
    upstream = np.broadcast_arrays(y - shift_y, x - shift_x, fields)[:2]
    carried = np.empty_like(fields)
    for plane in np.ndindex(fields.shape[:-2]):
        places = [axis[plane] for axis in upstream]
        carried[plane] = map_coordinates(fields[plane], places, order=3, mode="grid-wrap")
    return carried


def rotated_gradient(stream: Array) -> tuple[Array, Array]:
    """(v, u) of the flow along the lines of a (..., H, W) streamfunction, by central differences."""
    along_y = (np.roll(stream, -1, -2) - np.roll(stream, 1, -2)) / 2
    along_x = (np.roll(stream, -1, -1) - np.roll(stream, 1, -1)) / 2
    return along_x, -along_y


def memory_of(time_scales: Sequence[float]) -> tuple[Array, Array]:
    """(C, 1, 1) share of a state that is left after a step, and the forcing that keeps the variance at 1."""
    left = np.exp(-1 / np.array(time_scales, np.float32))[:, None, None]
    return left, np.sqrt(1 - left**2)


def mixed(matrix: Array, fields: Array) -> Array:
    """The (C, C) matrix times the (..., C, H, W) fields."""
    return np.asarray(np.einsum("dc,...chw->...dhw", matrix.astype(np.float32), fields))


# ---- waves: a streamfunction carries itself and three tracers, which feed on each other and saturate

WAVES_LEFT, WAVES_FORCING = memory_of([20.0, 8.0, 12.0, 5.0])
WAVES_COUPLING = np.array([[0, 0, 0.3, 0], [0.8, 0, -0.5, 0], [0, 0.7, 0, 0.3], [0, 0.6, -0.6, 0]])


def waves(history: Array, noise: Array) -> Array:
    """The flow of channel 0 and a constant wind advect all; tanh couplings, additive forcing."""
    moved = advect(history[..., -1, :, :, :], *_swirl(history[..., -1, :, :, :]))
    return _waves_step(moved, noise)


def inertial_waves(history: Array, noise: Array) -> Array:
    """As `waves`, with 0.3 of the last change of what moves carried on: two states are needed.

    Of the change at a place, what a swift flow brings would be carried on too, and the world would grow without bound.
    """
    before, last = history[..., 0, :, :, :], history[..., 1, :, :, :]
    change = last - advect(before, *_swirl(before))
    moved = advect(last + 0.3 * change, *_swirl(last))
    return _waves_step(moved, noise)


def _waves_step(moved: Array, noise: Array) -> Array:
    coupled = 0.15 * np.tanh(mixed(WAVES_COUPLING, moved))
    return np.asarray(WAVES_LEFT * moved + coupled + WAVES_FORCING * noise)


def _swirl(state: Array) -> tuple[Array, Array]:
    v, u = rotated_gradient(state[..., :1, :, :])
    return 0.4 + 4.0 * v, 1.2 + 4.0 * u


# ---- skewed: wind, an exponential instability, and rain that is mostly zero; noise grows with the state

WIND_LEFT, WIND_FORCING = memory_of([15.0, 15.0])


def skewed(history: Array, noise: Array) -> Array:
    """Instability grows in convergence and feeds rain, rain uses it up; the forcing of both is multiplicative."""
    state = history[..., -1, :, :, :]
    moved = advect(state, 0.2 + 0.7 * state[..., 1:2, :, :], 0.8 + 0.7 * state[..., :1, :, :])
    wind, instability = moved[..., :2, :, :], moved[..., 2, :, :]
    rain = np.maximum(moved[..., 3, :, :], 0)  # cubic interpolation may undershoot
    u, v = wind[..., 0, :, :], wind[..., 1, :, :]
    convergence = np.roll(u, 1, -1) - np.roll(u, -1, -1) + np.roll(v, 1, -2) - np.roll(v, -1, -2)
    fuel = 0.08 + 0.2 * np.tanh(2 * convergence) - 0.25 * rain / (1 + rain)
    forcing = 0.35 * (1 + 0.4 * np.tanh(instability))
    onset = 0.35 * np.tanh(instability) - 0.22 + (0.3 + 0.25 * np.sqrt(rain)) * noise[..., 3, :, :]
    rest = [0.93 * instability + fuel + forcing * noise[..., 2, :, :], np.maximum(0.8 * rain + onset, 0)]
    return np.concatenate([WIND_LEFT * wind + WIND_FORCING * noise[..., :2, :, :], np.stack(rest, -3)], axis=-3)


# ---- eight: scales from 1e-6 to 1e5, memories from 2 to 100 steps, each channel with a drift of its own

EIGHT_LEFT, EIGHT_FORCING = memory_of([2.0, 100.0, 4.0, 50.0, 8.0, 30.0, 3.0, 15.0])
EIGHT_DRIFT = np.array([[0.5, 1.5], [0.0, 0.3], [-1.0, 0.7], [0.2, -0.4], [1.3, 0.0], [0.6, 0.6], [-0.5, -2.0], [0, 1]])
EIGHT_COUPLING = 0.6 * (np.roll(np.eye(8), 1, axis=1) - np.roll(np.eye(8), -3, axis=1))


def eight(history: Array, noise: Array) -> Array:
    """Constant drifts, tanh couplings around a ring that slow channels feel slowly, additive forcing."""
    shift_y, shift_x = EIGHT_DRIFT.T[:, :, None, None]
    moved = advect(history[..., -1, :, :, :], shift_y, shift_x)
    return EIGHT_LEFT * moved + EIGHT_FORCING * (0.4 * np.tanh(mixed(EIGHT_COUPLING, moved)) + noise)


# ---- showers: written when all recipes stood, unlike the others: dispersive waves, heavy tails, roots, ties


def showers(history: Array, noise: Array) -> Array:
    """Large waves of a height outrun small ones, temperature errs in patches, cape and rain are shed at zero.

    Height is damped and turned in the Fourier plane as a Rossby wave is; the forcing of temperature is multiplied by
    the exponential of rain's; that of cape goes with its root, and rain is a power of what lies above a threshold.
    """
    state = history[..., -1, :, :, :]
    height, temperature, cape, rain = (state[..., c, :, :] for c in range(4))
    forcing = [noise[..., c, :, :] for c in range(4)]
    cape, rain = np.maximum(cape, 0), np.maximum(rain, 0)
    ky, kx = _wavenumbers(state.shape[-2:])
    k2 = kx**2 + ky**2
    slope = (np.roll(height, -1, -1) - np.roll(height, 1, -1)) / 2
    patchy = forcing[1] * np.exp(0.5 * forcing[3] - 0.25)
    warming = 0.8 * slope + 0.15 * cape / (1 + cape) - 0.1 * np.minimum(rain, 2) - 0.02
    drifted, before = np.roll(cape, (1, 2), (-2, -1)), np.roll(rain, 1, -1)
    growth = 0.12 * np.tanh(temperature) + 0.10 - 0.2 * np.minimum(rain, 1)
    onset = 0.75 * before ** (2 / 3) + 0.6 * np.tanh(cape) - 0.55 - 0.3 * height + 0.45 * forcing[3]
    new = [
        _filtered(height, np.exp(-(0.06 + 0.0008 * k2) + 3j * kx / (k2 + 4))) + 0.35 * forcing[0],
        0.9 * _filtered(temperature, np.exp(-0.002 * k2)) + warming + 0.3 * patchy,
        np.maximum(0.85 * drifted + growth + 0.45 * np.sqrt(drifted + 0.02) * forcing[2], 0),
        np.maximum(onset, 0) ** 1.5,
    ]
    return np.stack(new, axis=-3)


def _wavenumbers(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """(ky, kx) of rfft2's half plane, in cycles of the domain."""
    height, width = shape
    return np.fft.fftfreq(height, 1 / height)[:, None], np.fft.rfftfreq(width, 1 / width)[None]


def _filtered(fields: Array, response: Array) -> Array:
    return np.fft.irfft2(np.fft.rfft2(fields) * response, s=fields.shape[-2:]).astype(np.float32)


def _blend(*parts: tuple[float, float]) -> Blend:
    """(length, weight) of parts as (length, share)."""
    total = sum(weight**2 for _, weight in parts) ** 0.5
    return tuple((length, weight / total) for length, weight in parts)


WAVES = (
    Channel(name="psi", units="m2 s-1", scale=3e6, noise=_blend((6.0, 1))),
    Channel(name="theta", units="K", centre=290.0, scale=4.0, noise=_blend((5.0, 1), (1.5, 0.4))),
    Channel(name="humidity", units="kg kg-1", centre=8e-3, scale=1e-3, noise=_blend((2.5, 1))),
    Channel(name="ozone", units="DU", centre=300.0, scale=20.0, noise=_blend((8.0, 0.7), (1.0, 0.5))),
)
WORLDS = {
    "waves": World(channels=WAVES, law=waves),
    "inertial-waves": World(channels=WAVES, law=inertial_waves, memory=2),
    "skewed": World(
        law=skewed,
        channels=(
            Channel(name="u", units="m s-1", centre=3.0, scale=5.0, noise=_blend((6.0, 1))),
            Channel(name="v", units="m s-1", scale=5.0, noise=_blend((6.0, 1))),
            Channel(
                name="instability", units="J kg-1", scale=100.0, growth=0.9, noise=_blend((3.0, 1)),
                minimum=0.0, transform="log1p",
            ),
            Channel(
                name="rain", units="mm h-1", scale=4.0, noise=_blend((2.0, 1)), minimum=0.0, transform="log1p"
            ),
        ),
    ),
    "eight": World(
        law=eight,
        channels=(
            Channel(name="pressure", units="Pa", centre=1e5, scale=500.0, noise=_blend((8.0, 1))),
            Channel(name="ice", units="kg kg-1", centre=4e-6, scale=1e-6, noise=_blend((2.0, 1))),
            Channel(name="wind", units="m s-1", scale=7.0, noise=_blend((4.0, 1), (1.0, 0.3))),
            Channel(name="soil", units="K", centre=285.0, scale=3.0, noise=_blend((5.0, 1))),
            Channel(name="flux", units="W m-2", centre=300.0, scale=120.0, noise=_blend((1.5, 1))),
            Channel(name="heat", units="J m-2", centre=2e5, scale=5e4, noise=_blend((3.0, 1))),
            Channel(name="vorticity", units="s-1", scale=5e-5, noise=_blend((1.2, 1))),
            Channel(name="cloud", units="1", centre=0.5, scale=0.12, noise=_blend((6.0, 0.7), (2.0, 0.7))),
        ),
    ),
    "showers": World(
        law=showers,
        channels=(
            Channel(name="height", units="m", centre=5500.0, scale=60.0, noise=_blend((5.0, 1), (1.5, 0.3))),
            Channel(name="temperature", units="K", centre=280.0, scale=5.0, noise=_blend((2.0, 1))),
            Channel(
                name="cape", units="J kg-1", scale=900.0, noise=_blend((3.0, 1)), minimum=0.0, transform="log1p"
            ),
            Channel(
                name="rain", units="mm h-1", scale=5.0, noise=_blend((1.5, 1)), minimum=0.0, transform="log1p"
            ),
        ),
    ),
}  # fmt: skip


def write_world(world: World, fields: Array, folder: Path) -> None:
    """Write (N, C, H, W) as `world.nc`, and `prepare.yaml` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    time = (START + HOUR * np.arange(len(fields)), {"standard_name": "time"})
    dataset = cf_dataset(fields, world.variables, {"time": time}, spacing=SPACING)
    dataset.to_netcdf(folder / "world.nc", engine="netcdf4", encoding={"time": {"units": f"hours since {START}"}})
    table = {channel.name: {"transform": channel.transform} for channel in world.channels}
    (folder / "prepare.yaml").write_text(yaml.safe_dump({"variables": table}, sort_keys=False), encoding="utf-8")


def write_oracle(
    world: World, fields: Array, inits: Array, path: Path, *, steps: int, members: int, rng: np.random.Generator
) -> None:
    """Write the oracle's forecast from `fields[inits]`, dims (init_time, lead_time, member, y, x)."""
    histories = [fields[init - world.memory + 1 : init + 1] for init in inits]
    drawn = np.stack([world.oracle(history, steps=steps, members=members, rng=rng) for history in histories])
    axes = {
        "init_time": (START + HOUR * np.asarray(inits), {"standard_name": "forecast_reference_time"}),
        "lead_time": (np.arange(1, steps + 1), {"units": "hours", "standard_name": "forecast_period"}),
        "member": (np.arange(members), {"standard_name": "realization"}),
    }
    cf_dataset(drawn, world.variables, axes, spacing=SPACING).to_netcdf(path, engine="netcdf4")


def main() -> None:
    """Draw a world, and an oracle's forecast where initial times are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", choices=WORLDS)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", action="append", default=[], type=lambda text: np.datetime64(text, "s"))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--members", type=int, default=16)
    options = parser.parse_args()
    world, rng = WORLDS[options.world], np.random.default_rng(options.seed)
    fields = world.simulate(options.times, rng)
    write_world(world, fields, options.output)
    if options.init:
        inits = (np.array(options.init) - START) // HOUR
        path = options.output / "oracle.nc"
        write_oracle(world, fields, inits, path, steps=options.steps, members=options.members, rng=rng)
    print(options.output / "world.nc")


if __name__ == "__main__":
    main()
