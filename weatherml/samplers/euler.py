"""Euler's method on the probability-flow ODE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS, Sampler, euler_step


@SAMPLERS.register("euler")
class Euler(Sampler):
    """Euler's method on dx/dsigma = (x - D) / sigma; in these variables the same as DDIM with eta = 0."""

    order: ClassVar[int] = 1

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:  # noqa: ARG002
        """A sample, of the shape of `start`."""
        x = start
        for sigma, sigma_next in pairwise(sigmas):
            x = euler_step(x, denoise(x, sigma), sigma, sigma_next)
        return x
