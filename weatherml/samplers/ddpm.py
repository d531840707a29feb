"""DDPM's ancestral sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.samplers.base import SAMPLERS, Sampler
from weatherml.samplers.ddim import descend


@SAMPLERS.register("ddpm")
class DDPM(Sampler):
    """Ancestral sampling with the posterior variance, "fixed small" (Ho et al. 2020, arXiv 2006.11239, algorithm 2).

    The same as DDIM with eta = 1 (Song et al. 2021, section 4.1); few steps leave much too little variance.
    """

    order: ClassVar[int] = 1
    stochastic: ClassVar[bool] = True

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
        """A sample, of the shape of `start`."""
        return descend(denoise, start, sigmas, noise, eta=1.0)
