"""Heun's method with noise added before every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS
from weatherml.samplers.heun import Heun, heun_step


@SAMPLERS.register("heun-churn")
class HeunChurn(Heun):
    """The stochastic sampler of Karras et al. 2022 (algorithm 2).

    Attributes:
        churn: noise added over the whole way, S_churn; each step adds at most a factor sqrt(2) to sigma.
        s_min: noise is added only at levels from here ...
        s_max: ... to here.
        s_noise: the standard deviation of the noise; a little over 1 makes up for a denoiser that removes too much.
    """

    stochastic: ClassVar[bool] = True
    off_grid: ClassVar[bool] = True

    churn: NonNegativeFloat = 2.5
    s_min: NonNegativeFloat = 0.0
    s_max: PositiveFloat = 80.0
    s_noise: PositiveFloat = 1.0

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
        """A sample, of the shape of `start`."""
        x = start
        for sigma, sigma_next in pairwise(sigmas):
            sigma_hat = sigma * (1 + self._gamma(sigma))
            if sigma_hat > sigma:
                x = x + (sigma_hat**2 - sigma**2) ** 0.5 * self.s_noise * noise(x.shape)
            x = heun_step(denoise, x, sigma_hat, sigma_next)
        return x

    def _gamma(self, sigma: float) -> float:
        inside = self.s_min <= sigma <= self.s_max
        return min(self.churn / self.steps, math.sqrt(2) - 1) if inside else 0.0
