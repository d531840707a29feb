"""Heun's method on the probability-flow ODE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS, Sampler


@SAMPLERS.register("heun")
class Heun(Sampler):
    """Heun's method on dx/dsigma = (x - D) / sigma, the last step Euler's (Karras et al. 2022, algorithm 1)."""

    order: ClassVar[int] = 2

    @property
    def calls(self) -> int:
        """Two a step, but one for the last."""
        return 2 * self.steps - 1

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:  # noqa: ARG002
        """A sample, of the shape of `start`."""
        x = start
        for sigma, sigma_next in pairwise(sigmas):
            x = heun_step(denoise, x, sigma, sigma_next)
        return x


def heun_step(denoise: Denoise, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Carry x from sigma to sigma_next."""
    d = (x - denoise(x, sigma)) / sigma
    x_euler = x + (sigma_next - sigma) * d
    if sigma_next == 0:
        return x_euler
    d_next = (x_euler - denoise(x_euler, sigma_next)) / sigma_next
    return x + (sigma_next - sigma) * (d + d_next) / 2
