"""The one-step law of the synthetic world: P(state an hour later | state, valid time, ground).

The state is the seven channels and nothing else. A step carries the state with the wind, lets each
channel relax, grow or decay by local rules, and adds noise that is correlated in space and white in
time. docs/synthetic-world.md gives the equations with their symbols and the figures they lead to.
Everything that depends on time does so through the height of the sun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.sources.world.advection import advect
from weatherml.sources.world.noise import Blend, correlated
from weatherml.sources.world.terrain import SPACING, Ground
from weatherml.sun import coefficients

Array = npt.NDArray[Any]

CHANNELS = ("refc", "t2m", "d2m", "u10", "v10", "cape", "cin")
NO_ECHO = -10.0  # dBZ, as in HRRR
FAINT = 1.0  # dB above no echo; what is less is no echo
HOUR = np.timedelta64(3600, "s")

NOISE: dict[str, Blend] = {  # an hour's (length in cells, standard deviation)
    "t2m": ((14.0, 0.15), (3.0, 0.12)),  # K
    "d2m": ((14.0, 0.12), (3.0, 0.12)),  # K
    "u10": ((14.0, 0.07), (3.0, 0.08)),  # m/s
    "v10": ((14.0, 0.07), (3.0, 0.08)),  # m/s
    "cape": ((4.0, 0.08),),  # of the logarithm
    "cin": ((4.0, 0.10),),  # of the logarithm
    "growth": ((3.0, 0.12),),  # of the logarithm of the echo
    "trigger": ((3.0, 0.13),),  # of the instability B
}

CELLS_PER_HOUR = 3600.0 / SPACING  # at 1 m/s
MAX_DISPLACEMENT = 3.0  # cells in a step
DRY_LAPSE = 6.5e-3  # K/m, of the temperature with height
DEW_LAPSE = 2.0e-3  # K/m, of the dew point
VEERING = 2 * np.pi / 60.0  # radians an hour: the synoptic wind turns clockwise once in 60 h
USUAL_WIND = 3.0  # m/s
SYNOPTIC_WIDTH = 31  # cells
ONSHORE = (-0.8, 0.6)  # unit vector (x, y) from the sea to the land


@dataclass(frozen=True, kw_only=True)
class Air:
    """The advected state, every field (..., H, W).

    Attributes:
        echo: reflectivity above no echo, dB.
        theta: temperature reduced to sea level, K.
        dew: dew point reduced to sea level, K.
        wind: u + iv, m/s.
        cape: J/kg.
        inhibition: the amount of CIN, J/kg, positive.
    """

    echo: Array
    theta: Array
    dew: Array
    wind: Array
    cape: Array
    inhibition: Array

    @property
    def rain(self) -> Array:
        """Rain's strength, 0 to 1."""
        return np.minimum(self.echo / 50, 1)


def step(state: Array, valid_time: np.datetime64, ground: Ground, rng: np.random.Generator | None) -> Array:
    """Draw the state at `valid_time` from the state an hour before.

    Args:
        state: (..., 7, H, W) float32, in the order of `CHANNELS` and the table's units.
        valid_time: UTC, of the new state.
        ground: of the area.
        rng: the source of the noise; None leaves the noise out, which gives the most likely step:
            a storm begins exactly where its probability exceeds one half.

    Returns:
        (..., 7, H, W) float32.
    """
    noise = _noise(state, rng)
    sun = _daylight(valid_time, ground)
    air = _advected(state, ground)
    synoptic = _wide_mean(air.wind)
    onshore = (ONSHORE[0] * synoptic.real + ONSHORE[1] * synoptic.imag) / USUAL_WIND
    wind = _wind(air, synoptic, sun, ground)
    lift = _lift(wind, ground)
    t2m = _theta(air, onshore, sun, ground) - DRY_LAPSE * ground.orography + noise["t2m"]
    d2m = _dew(air, onshore, sun, ground) - DEW_LAPSE * ground.orography + noise["d2m"]
    fields = {
        "refc": NO_ECHO + _echo(air, lift, noise),
        "t2m": t2m,
        "d2m": np.minimum(d2m, t2m),
        "u10": wind.real + noise["u10"],
        "v10": wind.imag + noise["v10"],
        "cape": _cape(air) * np.exp(noise["cape"]),
        "cin": -_inhibition(air, lift, ground) * np.exp(noise["cin"]),
    }
    return np.stack([fields[name] for name in CHANNELS], axis=-3).astype(np.float32)


def first_guess(ground: Ground, rng: np.random.Generator) -> Array:
    """(7, H, W) float32, a uniform state without storms under a wind from anywhere; a day or two forget it."""
    angle = rng.uniform(0, 2 * np.pi)
    fields = {
        "refc": NO_ECHO,
        "t2m": 296.0 - DRY_LAPSE * ground.orography,
        "d2m": 291.0 - DEW_LAPSE * ground.orography,
        "u10": USUAL_WIND * np.cos(angle),
        "v10": USUAL_WIND * np.sin(angle),
        "cape": 300.0,
        "cin": -50.0,
    }
    return np.stack([np.broadcast_to(fields[name], ground.land.shape) for name in CHANNELS]).astype(np.float32)


def _noise(state: Array, rng: np.random.Generator | None) -> dict[str, Any]:
    if rng is None:
        return dict.fromkeys(NOISE, np.float32(0))
    *lead, _, height, width = state.shape
    fields = correlated(rng, (*lead, height, width), tuple(NOISE.values()))
    return dict(zip(NOISE, np.moveaxis(fields, -3, 0), strict=True))


def _daylight(valid_time: np.datetime64, ground: Ground) -> Array:
    """mu+ = max(0, cosine of the solar zenith angle), (H, W)."""
    mu = np.einsum("k,khw->hw", coefficients(np.array([valid_time]))[0], ground.sun)
    return np.asarray(np.maximum(mu, 0), dtype=np.float32)


def _advected(state: Array, ground: Ground) -> Air:
    """The air that arrives: reduced to sea level, carried by the 10 m wind, echo fading in from outside.

    The displacement is the wind's way in an hour, bent to stay under `MAX_DISPLACEMENT`.
    """
    u, v = state[..., 3, :, :], state[..., 4, :, :]
    speed = np.hypot(u, v) + np.float32(1e-6)
    way = MAX_DISPLACEMENT * np.tanh(CELLS_PER_HOUR / MAX_DISPLACEMENT * speed) / speed
    raised = state.copy()
    raised[..., 0, :, :] -= NO_ECHO
    raised[..., 1, :, :] += DRY_LAPSE * ground.orography
    raised[..., 2, :, :] += DEW_LAPSE * ground.orography
    moved, beyond = advect(raised, way * v, way * u)
    echo, theta, dew, u, v, cape, cin = np.moveaxis(moved, -3, 0)
    return Air(echo=echo * np.exp(-beyond / 3), theta=theta, dew=dew, wind=u + 1j * v, cape=cape, inhibition=-cin)


def _wind(air: Air, synoptic: Array, sun: Array, ground: Ground) -> Array:
    """The wind u + iv before noise: its synoptic part veers and nears a usual speed, breezes blow to warm air.

    The synoptic part W obeys the normal form of a limit cycle, W e^(-i omega) (1 + (V - |W|) / 2(V + |W|)),
    so that it keeps its strength while its direction slowly diffuses. V is lower over land at night.
    """
    speed = np.abs(synoptic)
    usual = USUAL_WIND + ground.land_share * (-1.7 + 2.0 * sun)
    turned = synoptic * np.complex64(np.exp(-1j * VEERING)) * (1 + 0.5 * (usual - speed) / (usual + speed))
    warm_y, warm_x = np.gradient(_mean(air.theta, 5), axis=(-2, -1))
    breeze = 0.7 * (warm_x + 1j * warm_y)
    return np.asarray(turned + 0.7 * (air.wind - synoptic) + breeze / (1 + np.abs(breeze) / 2))


def _lift(wind: Array, ground: Ground) -> Array:
    """Rising air, about -2 to 2: over heated heights, in convergence and in upslope flow."""
    upslope = wind.real * ground.slope_x + wind.imag * ground.slope_y
    divergence = np.gradient(wind.real, axis=-1) + np.gradient(wind.imag, axis=-2)
    return np.asarray(ground.relief / 400 + _mean(upslope / 0.12 - divergence / 0.3, 5))


def _theta(air: Air, onshore: Array, sun: Array, ground: Ground) -> Array:
    """Temperature at sea level: relaxes towards an equilibrium with the sun; rain cools towards the dew point."""
    land = ground.land_share
    equilibrium = _blend(land, 292.0 + 17.0 * sun + 1.0 * onshore, 299.5 + 0.5 * onshore)
    return np.asarray(
        air.theta + _blend(land, 0.22, 0.08) * (equilibrium - air.theta) - 0.45 * air.rain * (air.theta - air.dew)
    )


def _dew(air: Air, onshore: Array, sun: Array, ground: Ground) -> Array:
    """Dew point at sea level: moist from the sea and in onshore wind, mixed out by day, raised by rain."""
    land = ground.land_share
    equilibrium = _blend(land, 294.0 + 1.0 * onshore - 2.0 * sun, 296.5)
    return np.asarray(
        air.dew + _blend(land, 0.16, 0.20) * (equilibrium - air.dew) + 0.25 * air.rain * (air.theta - air.dew)
    )


def _cape(air: Air) -> Array:
    """CAPE before noise: grows fast in warm moist air, and storms use it up."""
    warm_and_moist = 0.6 * (air.theta - 297) + (air.dew - 291)
    equilibrium = 300 * _softplus(warm_and_moist - 1.5) * np.exp(-air.echo / 20)
    return np.asarray(air.cape + (0.45 + 0.2 * air.rain) * (equilibrium - air.cape))


def _inhibition(air: Air, lift: Array, ground: Ground) -> Array:
    """The amount of CIN before noise: strong in cool air, at sea and after rain, eroded by lift."""
    equilibrium = 8 + 14 * _softplus(300.5 - air.theta) + 45 * (1 - ground.land_share) + 60 * air.rain
    return np.asarray(air.inhibition + 0.45 * (equilibrium * np.exp(-0.3 * np.tanh(lift)) - air.inhibition))


def _echo(air: Air, lift: Array, noise: dict[str, Any]) -> Array:
    """Reflectivity above no echo: the larger of the storm that arrives and the storm that begins.

    Both hang on the instability B = ln(1 + CAPE) - ln(1 + |CIN|) / 2 + 1.2 tanh(lift) - 5. A storm grows
    where B > 0, else it dies. One begins where B plus noise exceeds 1.29 (there its echo passes `FAINT`),
    so with probability Phi((B - 1.29) / 0.13), and the stronger the more it exceeds it.
    """
    instability = np.log1p(air.cape) - 0.5 * np.log1p(air.inhibition) + 1.2 * np.tanh(lift) - 5
    grown = _saturating(_mean(air.echo, 3) * np.exp(np.tanh(instability) + noise["growth"]), 75)
    arriving = grown**2 / (grown + 4)
    excess = np.maximum(instability - 1.2 + noise["trigger"], 0)
    born = 30 * -np.expm1(-((excess / 0.5) ** 2))
    echo = np.maximum(arriving, born)
    return np.where(echo < FAINT, 0, echo)


def _saturating(x: Array, limit: float) -> Array:
    """Small x as it is, large x up to the limit: limit (1 - exp(-x / limit))."""
    return np.asarray(-limit * np.expm1(-x / limit))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, 0))


def _blend(land_share: Array, on_land: Array | float, at_sea: Array | float) -> Array:
    return np.asarray(at_sea + land_share * (on_land - at_sea))


def _wide_mean(wind: Array) -> Array:
    """The synoptic part of a complex wind: its mean over a square of `SYNOPTIC_WIDTH` cells."""
    return np.asarray(_mean(wind.real, SYNOPTIC_WIDTH) + 1j * _mean(wind.imag, SYNOPTIC_WIDTH))


def _mean(field: Array, width: int) -> Array:
    """The mean over a square of `width` cells; beyond the edge the field is mirrored."""
    from scipy.ndimage import uniform_filter  # noqa: PLC0415 - slow to import

    return np.asarray(uniform_filter(field, size=width, mode="mirror", axes=(-2, -1)))
