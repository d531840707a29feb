"""DDIM, and the family of samplers between it and DDPM."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS, Sampler, euler_step


@SAMPLERS.register("ddim")
class DDIM(Sampler):
    """DDIM (Song et al. 2021, arXiv 2010.02502, eq. 12 and 16).

    Attributes:
        eta: how much noise is drawn anew, from 0, Euler's method, to 1, DDPM's ancestral sampling.
    """

    order: ClassVar[int] = 1
    stochastic: ClassVar[bool] = True

    eta: Annotated[float, Field(ge=0, le=1)] = 0.0

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
        """A sample, of the shape of `start`."""
        return descend(denoise, start, sigmas, noise, eta=self.eta)


def descend(denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise, *, eta: float) -> Tensor:
    """From level to level: Euler's step to what is kept of the next level, and new noise for the rest."""
    x = start
    for sigma, sigma_next in pairwise(sigmas):
        sigma_down, sigma_up = split(sigma, sigma_next, eta)
        x = euler_step(x, denoise(x, sigma), sigma, sigma_down)
        if sigma_up > 0:
            x = x + sigma_up * noise(x.shape)
    return x


def split(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """(sigma_down, sigma_up): how much of sigma_next's noise is kept from x, and how much is new.

    DDPM's posterior variance, (1 - abar_next) / (1 - abar) * (1 - abar / abar_next), divided by abar_next is
    sigma_next^2 (1 - sigma_next^2 / sigma^2) in these variables, whatever the schedule.
    """
    new = eta**2 * (1 - (sigma_next / sigma) ** 2)
    return sigma_next * (1 - new) ** 0.5, sigma_next * new**0.5
