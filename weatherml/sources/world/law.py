"""The one-step law of the synthetic world (docs/synthetic-world.md has the equations with their symbols)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from weatherml.sources.world.noise import Blend, correlated
from weatherml.sources.world.terrain import SPACING, Ground
from weatherml.sun import coefficients

Array = npt.NDArray[Any]

CHANNELS = ("refc", "t2m", "d2m", "u10", "v10", "cape", "cin")
NO_ECHO = -10.0

NOISE: dict[str, Blend] = {  # units per square root of an hour: (length in cells, standard deviation)
    "u10": ((14.0, 0.08), (3.0, 0.09)),
    "v10": ((14.0, 0.08), (3.0, 0.09)),
    "t2m": ((14.0, 0.15), (3.0, 0.15)),
    "d2m": ((14.0, 0.10), (3.0, 0.12)),
    "cape": ((3.0, 0.08),),  # of the logarithm
    "cin": ((3.0, 0.10),),  # of the logarithm
    "growth": ((2.5, 0.12),),  # of the logarithm of the echo
    "trigger": ((2.2, 0.15),),
}

CELLS_PER_HOUR = 3600.0 / SPACING  # at 1 m/s
MAX_DISPLACEMENT = 4.0  # cells an hour
LAPSE = 6.5e-3  # K/m
VEERING = 2 * np.pi / 60.0  # radians an hour
ONSHORE = (-0.8, 0.6)


def step(state: Array, valid_time: np.datetime64, ground: Ground, rng: np.random.Generator | None) -> Array:
    noise = _noise(state.shape, rng)
    daylight = _daylight(valid_time, ground)
    refc, t2m, d2m, u10, v10, cape, cin = np.moveaxis(_advected(state, ground), -3, 0)
    wind, synoptic = _wind(u10, v10, t2m, daylight, ground)
    onshore = (ONSHORE[0] * synoptic.real + ONSHORE[1] * synoptic.imag) / 4.0
    echo = refc
    rain = np.minimum(echo / 50, 1)
    u_new, v_new = wind.real + noise["u10"], wind.imag + noise["v10"]
    t_new, d_new = _surface(t2m, d2m, rain, onshore, daylight, ground)
    t_new = t_new - LAPSE * ground.orography + noise["t2m"]
    d_new = np.minimum(d_new - 0.3 * LAPSE * ground.orography + noise["d2m"], t_new)
    lift = _lift(wind, ground)
    c_new = _cape(cape, t2m, d2m, echo, rain) * np.exp(noise["cape"])
    i_new = _inhibition(-cin, t2m, rain, lift, ground) * np.exp(noise["cin"])
    r_new = _storms(echo, cape, -cin, lift, noise["growth"], noise["trigger"])
    new = np.stack([r_new + NO_ECHO, t_new, d_new, u_new, v_new, c_new, -i_new], axis=-3)
    return new.astype(np.float32)


def _noise(shape, rng):
    if rng is None:
        return dict.fromkeys(NOISE, np.float32(0))
    fields = correlated(rng, (*shape[:-3], *shape[-2:]), list(NOISE.values()))
    return dict(zip(NOISE, np.moveaxis(fields, -3, 0), strict=True))


def _daylight(valid_time, ground):
    mu = np.tensordot(coefficients(np.array([valid_time]))[0], ground.sun, axes=1)
    return np.maximum(mu, 0).astype(np.float32)


def _advected(state, ground):
    raised = np.stack([0 * ground.orography] + [LAPSE * ground.orography, 0.3 * LAPSE * ground.orography] + [0 * ground.orography] * 4)
    raised[0] = -NO_ECHO
    fields = state + raised
    H, W = state.shape[-2:]
    u, v = state[..., 3, :, :], state[..., 4, :, :]
    speed = np.hypot(u, v) + 1e-6
    shift = MAX_DISPLACEMENT * np.tanh(CELLS_PER_HOUR * speed / MAX_DISPLACEMENT) / speed
    y, y_out = _mirror(np.arange(H, dtype=np.float32)[:, None] - shift * v, H)
    x, x_out = _mirror(np.arange(W, dtype=np.float32) - shift * u, W)
    y0 = np.minimum(y.astype(np.intp), H - 2)
    x0 = np.minimum(x.astype(np.intp), W - 2)
    fy = (y - y0)[..., None, :, :]
    fx = (x - x0)[..., None, :, :]
    corner = (y0 * W + x0)[..., None, :, :]
    n = int(np.prod(state.shape[:-2]))
    corner = corner + (np.arange(n) * (H * W)).reshape(*state.shape[:-2], 1, 1)
    flat = fields.ravel()
    low = flat.take(corner) * (1 - fx) + flat.take(corner + 1) * fx
    high = flat.take(corner + W) * (1 - fx) + flat.take(corner + W + 1) * fx
    moved = low * (1 - fy) + high * fy
    moved[..., 0, :, :] *= np.exp(-(y_out + x_out) / 3)
    return moved


def _mirror(position, size):
    inside = np.abs(position)
    inside = (size - 1) - np.abs(size - 1 - inside)
    return inside, np.abs(position - inside) / 2


def _box(field, size):
    return uniform_filter(field, size=size, mode="mirror", axes=(-2, -1))


def _wind(u, v, theta, daylight, ground):
    wind = u + 1j * v
    synoptic = _box(u, 31) + 1j * _box(v, 31)
    speed = np.abs(synoptic)
    usual = 4.0 + ground.land_share * (-2.2 + 2.2 * daylight)
    turned = synoptic * np.exp(-1j * VEERING).astype(np.complex64) * (1 + 0.5 * (usual - speed) / (usual + speed))
    warm_y, warm_x = np.gradient(_box(theta, 5), axis=(-2, -1))
    breeze = 0.7 * (warm_x + 1j * warm_y)
    breeze = breeze / (1 + np.abs(breeze) / 2)
    return turned + 0.7 * (wind - synoptic) + breeze, synoptic


def _surface(t, d, rain, onshore, daylight, ground):
    land = ground.land_share
    t_eq = land * (292.0 + 17.0 * daylight + 1.5 * onshore) + (1 - land) * (299.5 + 0.5 * onshore)
    a_t = land * 0.22 + (1 - land) * 0.08
    d_eq = land * (292.8 + 2.8 * onshore - 2.0 * daylight) + (1 - land) * 296.5
    a_d = land * 0.12 + (1 - land) * 0.2
    t_new = t + a_t * (t_eq - t) - 0.45 * rain * (t - d)
    d_new = d + a_d * (d_eq - d) + 0.25 * rain * (t - d)
    return t_new, d_new


def _softplus(x):
    return np.logaddexp(x, 0)


def _cape(cape, t, d, echo, rain):
    e = 0.6 * (t - 297.0) + (d - 291.0)
    c_eq = 300 * _softplus(e - 1.5) * np.exp(-echo / 12)
    return cape + (0.45 + 0.4 * rain) * (c_eq - cape)


def _inhibition(i, t, rain, lift, ground):
    i_eq = (8 + 14 * _softplus(300.5 - t) + 45 * (1 - ground.land_share) + 60 * rain) * np.exp(-0.3 * np.tanh(lift))
    return i + 0.45 * (i_eq - i)


def _lift(wind, ground):
    upslope = wind.real * ground.slope_x + wind.imag * ground.slope_y
    spread = np.gradient(wind.real, axis=-1) + np.gradient(wind.imag, axis=-2)
    return upslope / 0.08 - _box(spread, 3) / 0.4


def _storms(echo, cape, i, lift, growth, trigger):
    b = cape / 1000 - i / 40 + 1.0 * np.tanh(lift / 1.5)
    grown = echo * np.exp(0.6 * np.tanh(b - 0.3) + growth)
    grown = np.maximum(65 * -np.expm1(-grown / 65) - 1.0, 0)
    excess = np.maximum(b - 1.6 + trigger, 0)
    born = 55 * -np.expm1(-excess / 0.5)
    return np.maximum(grown, born)
