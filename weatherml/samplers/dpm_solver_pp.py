"""DPM-Solver++(2M), a multistep exponential integrator."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import ClassVar

from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS, Sampler, euler_step


@SAMPLERS.register("dpm-solver++")
class DPMSolverPP(Sampler):
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2) in lambda = -ln sigma.

    A step takes D as constant and is exact but for that: at the middle of the step, extrapolated from the last
    call and this one. The first step has no last call and the step to 0 no middle: there it is this call's D.
    """

    order: ClassVar[int] = 2

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:  # noqa: ARG002
        """A sample, of the shape of `start`."""
        x = start
        last: tuple[Tensor, float] | None = None
        for sigma, sigma_next in pairwise(sigmas):
            denoised = denoise(x, sigma)
            towards = denoised
            if last is not None and sigma_next > 0:
                r = log(last[1] / sigma) / log(sigma / sigma_next)
                towards = denoised + (denoised - last[0]) / (2 * r)
            x = euler_step(x, towards, sigma, sigma_next)
            last = denoised, sigma
        return x
